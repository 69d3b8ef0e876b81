# What the project needs before anything else: a real name, the APIs, and a trail of who did what.
resource "terraform_data" "project_is_named" {
  input = local.project

  lifecycle {
    precondition {
      condition     = can(regex("^[a-z][a-z0-9-]{4,28}[a-z0-9]$", local.project))
      error_message = "Name the project: write it into infra/environments/${var.environment}.yaml, or set TF_VAR_project (`bqloop deploy` passes BQLOOP_PROJECT on)."
    }
  }
}

data "google_project" "this" {
  project_id = terraform_data.project_is_named.output
}

resource "google_project_service" "used" {
  for_each = toset([
    "aiplatform", "artifactregistry", "bigquery", "billingbudgets", "cloudbuild", "cloudfunctions", "cloudresourcemanager",
    "cloudscheduler", "iam", "iamcredentials", "logging", "monitoring", "pubsub", "run", "storage",
  ])
  project            = local.project
  service            = "${each.key}.googleapis.com"
  disable_on_destroy = false

  depends_on = [terraform_data.project_is_named]
}

# Who read and wrote data, and who changed permissions. Admin activity is logged by Google in any case.
resource "google_project_iam_audit_config" "data" {
  for_each = toset(["bigquery.googleapis.com", "aiplatform.googleapis.com", "pubsub.googleapis.com", "storage.googleapis.com"])
  project  = local.project
  service  = each.key

  dynamic "audit_log_config" {
    for_each = toset(["DATA_READ", "DATA_WRITE", "ADMIN_READ"])
    content {
      log_type = audit_log_config.key
    }
  }
}
