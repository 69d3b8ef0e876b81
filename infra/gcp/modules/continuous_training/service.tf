# The prediction service on Cloud Run: only named callers, and IAM asks for their token before a request reaches the code.
resource "google_artifact_registry_repository" "images" {
  project       = local.project
  location      = local.file.region
  repository_id = "bqloop"
  format        = "DOCKER"
  description   = "Images of bqloop's prediction service"
  labels        = local.labels
  kms_key_name  = var.kms_key_name == "" ? null : var.kms_key_name

  docker_config {
    immutable_tags = true
  }

  cleanup_policies {
    id     = "keep-the-last-ten"
    action = "KEEP"
    most_recent_versions {
      keep_count = 10
    }
  }

  cleanup_policies {
    id     = "drop-the-rest-after-a-month"
    action = "DELETE"
    condition {
      older_than = "2592000s"
    }
  }

  depends_on = [google_project_service.used]
}

resource "google_cloud_run_v2_service" "service" {
  for_each            = var.service_image == "" ? {} : local.services
  project             = local.project
  location            = local.file.region
  name                = "bqloop-${each.key}"
  ingress             = var.service_ingress
  deletion_protection = var.deletion_protection
  labels              = local.labels

  template {
    service_account                  = google_service_account.function[each.key].email
    timeout                          = "${each.value.timeout_seconds}s"
    max_instance_request_concurrency = 6
    encryption_key                   = var.kms_key_name == "" ? null : var.kms_key_name

    scaling {
      min_instance_count = local.file.serving.min_replica_count
      max_instance_count = 10
    }

    containers {
      image = var.service_image

      resources {
        limits            = { cpu = "2", memory = each.value.memory }
        startup_cpu_boost = true
        cpu_idle          = false # the buffer of unconfirmed predictions is emptied between requests
      }

      dynamic "env" {
        for_each = merge(local.variables, { FUNCTION_TARGET = each.value.entry_point })
        content {
          name  = env.key
          value = env.value
        }
      }

      startup_probe {
        period_seconds    = 5
        failure_threshold = 24
        http_get {
          path = "/healthz"
        }
      }

      liveness_probe {
        period_seconds = 30
        http_get {
          path = "/healthz"
        }
      }
    }
  }
}

resource "google_cloud_run_v2_service_iam_member" "callers" {
  for_each = var.service_image == "" ? toset([]) : var.callers
  project  = local.project
  location = local.file.region
  name     = google_cloud_run_v2_service.service["service"].name
  role     = "roles/run.invoker"
  member   = each.key
}

# The loop deploys to it and splits its traffic; Terraform only gives it its name and its key.
resource "google_vertex_ai_endpoint" "model" {
  # checkov:skip=CKV2_GCP_33:Asked by IAM's leave alone. A private one needs a peered network; README.md says how with VPC-SC.
  for_each     = toset(local.file.models)
  project      = local.project
  location     = local.file.region
  region       = local.file.region
  name         = trim(substr(replace(lower("${local.file.endpoint}-${each.key}"), "/[^a-z0-9]+/", "-"), 0, 63), "-")
  display_name = "${local.file.endpoint}-${each.key}"
  labels       = local.labels

  dynamic "encryption_spec" {
    for_each = compact([var.kms_key_name])
    content {
      kms_key_name = encryption_spec.value
    }
  }

  lifecycle {
    ignore_changes = [traffic_split]
  }

  depends_on = [google_project_service.used]
}
