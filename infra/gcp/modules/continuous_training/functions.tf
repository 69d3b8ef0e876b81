# One source archive, one function a stage. They are reached by Pub/Sub alone, with the delivery account's token.
resource "google_storage_bucket" "artifacts" {
  # checkov:skip=CKV_GCP_62:Who reads and writes it stands in Cloud Audit Logs (project.tf), which see more than usage logs.
  project                     = local.project
  name                        = local.bucket
  location                    = local.file.region
  labels                      = local.labels
  uniform_bucket_level_access = true
  public_access_prevention    = "enforced"
  force_destroy               = !var.deletion_protection

  versioning {
    enabled = true
  }

  lifecycle_rule {
    condition {
      num_newer_versions = 10
      with_state         = "ARCHIVED"
    }
    action {
      type = "Delete"
    }
  }

  dynamic "encryption" {
    for_each = compact([var.kms_key_name])
    content {
      default_kms_key_name = encryption.value
    }
  }

  depends_on = [google_project_service.used]
}

# The name holds the content's hash, so that a changed archive, and only that, makes new revisions.
resource "google_storage_bucket_object" "source" {
  bucket = google_storage_bucket.artifacts.name
  name   = "functions/${filesha256(var.archive)}.zip"
  source = var.archive
}

resource "google_cloudfunctions2_function" "stage" {
  for_each     = local.stages
  project      = local.project
  location     = local.file.region
  name         = "bqloop-${each.key}"
  description  = "bqloop: ${each.key}"
  labels       = local.labels
  kms_key_name = var.kms_key_name == "" ? null : var.kms_key_name

  build_config {
    runtime         = "python311"
    entry_point     = each.value.entry_point
    service_account = google_service_account.builder.id

    source {
      storage_source {
        bucket = google_storage_bucket.artifacts.name
        object = google_storage_bucket_object.source.name
      }
    }
  }

  service_config {
    service_account_email            = google_service_account.function[each.key].email
    timeout_seconds                  = each.value.timeout_seconds
    available_memory                 = each.value.memory
    available_cpu                    = "1"
    max_instance_count               = 4
    min_instance_count               = 0
    max_instance_request_concurrency = 1 # a stage waits for its jobs; a second message gets an instance of its own
    ingress_settings                 = "ALLOW_INTERNAL_ONLY"
    all_traffic_on_latest_revision   = true
    environment_variables            = local.variables
  }

  depends_on = [google_project_iam_member.builder]
}

resource "google_cloud_run_service_iam_member" "delivers" {
  for_each = local.stages
  project  = local.project
  location = local.file.region
  service  = google_cloudfunctions2_function.stage[each.key].service_config[0].service
  role     = "roles/run.invoker"
  member   = google_service_account.function["delivery"].member
}

# Builds run as an account that can build and nothing else, and not as the project's default account.
resource "google_service_account" "builder" {
  project      = local.project
  account_id   = "bqloop-builder"
  display_name = "bqloop: builds functions and images"

  depends_on = [google_project_service.used]
}

resource "google_project_iam_member" "builder" {
  for_each = toset(["roles/logging.logWriter", "roles/artifactregistry.writer", "roles/storage.objectViewer"])
  project  = local.project
  role     = each.key
  member   = google_service_account.builder.member
}
