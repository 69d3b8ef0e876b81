variable "environment" {
  description = "Which infra/environments/<name>.yaml is installed; Python reads the same file."
  type        = string
}

variable "project" {
  description = "The Google Cloud project; empty means the one that the environment file names."
  type        = string
  default     = ""
}

variable "archive" {
  description = "The functions' source archive, as `bqloop package` builds it."
  type        = string
}

variable "git_sha" {
  description = "The commit that the archive was built from; the ledger records it with every event."
  type        = string
}

variable "service_image" {
  description = "The prediction service's image, by digest (…@sha256:…); empty leaves the service out, as in the first apply."
  type        = string
  default     = ""

  validation {
    condition     = var.service_image == "" || can(regex("@sha256:[0-9a-f]{64}$", var.service_image))
    error_message = "Give the image by digest, …@sha256:<64 hex digits>: a tag can be moved to other content."
  }
}

variable "callers" {
  description = "Who may ask the prediction service: IAM members such as serviceAccount:shop@project.iam.gserviceaccount.com."
  type        = set(string)
  default     = []

  validation {
    condition     = length(setintersection(var.callers, ["allUsers", "allAuthenticatedUsers"])) == 0
    error_message = "The service is never open to everybody: name users, groups or service accounts."
  }
}

variable "service_ingress" {
  description = "From where the service can be reached at all; IAM is asked in any case."
  type        = string
  default     = "INGRESS_TRAFFIC_INTERNAL_LOAD_BALANCER"
}

variable "alert_emails" {
  description = "Who hears of a failed stage, a dead letter, a stale champion, a rollback, a silent log, high cost."
  type        = set(string)
  default     = []
}

variable "budget" {
  description = "Billing account and monthly amount to warn about; null makes no budget."
  type = object({
    billing_account = string
    currency        = string
    amount          = number
  })
  default = null
}

variable "kms_key_name" {
  description = "Cloud KMS key for data at rest, in the region of the resources; empty means Google's keys."
  type        = string
  default     = ""
}

variable "deletion_protection" {
  description = "Whether Terraform refuses to delete what holds data."
  type        = bool
  default     = true
}
