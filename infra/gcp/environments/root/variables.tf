# What only Terraform needs, the same for every environment.
variable "project" {
  description = "The Google Cloud project of this environment."
  type        = string
}

variable "archive" {
  description = "The functions' source archive, as `bqloop package` builds it."
  type        = string
}

variable "git_sha" {
  description = "The commit that the archive was built from."
  type        = string
}

variable "service_image" {
  description = "The prediction service's image, by digest; empty leaves the service out."
  type        = string
  default     = ""
}

variable "callers" {
  description = "Who may ask the prediction service, as IAM members."
  type        = set(string)
  default     = []
}

variable "alert_emails" {
  description = "Who hears of alerts."
  type        = set(string)
  default     = []
}

variable "budget" {
  description = "Billing account, currency and monthly amount to warn about."
  type        = object({ billing_account = string, currency = string, amount = number })
  default     = null
}

variable "kms_key_name" {
  description = "Cloud KMS key for data at rest; empty means Google's keys."
  type        = string
  default     = ""
}
