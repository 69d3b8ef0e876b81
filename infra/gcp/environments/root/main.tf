# The root of every environment: each has links to these files, and says in its environment.tf what is its own.
terraform {
  required_version = ">= 1.6.0, < 2.0.0"

  # bucket and prefix are given at init, as infra/gcp/README.md shows: a backend block may hold no variables.
  backend "gcs" {}
}

provider "google" {
  project               = var.project
  user_project_override = true
  billing_project       = var.project
}

module "bqloop" {
  source = "../../modules/continuous_training"

  environment         = local.environment
  project             = var.project
  archive             = var.archive
  git_sha             = var.git_sha
  service_image       = var.service_image
  callers             = var.callers
  alert_emails        = var.alert_emails
  budget              = var.budget
  kms_key_name        = var.kms_key_name
  deletion_protection = local.deletion_protection
}

output "bqloop" {
  description = "Addresses and accounts of this environment."
  value       = module.bqloop
}
