# Topics, and how a message reaches its function. Push subscriptions of our own instead of Eventarc triggers: those make a
# subscription that has neither our dead-letter topic nor our back-off. infra/local/provisioning.py does the same.
locals {
  pubsub_agent = "serviceAccount:service-${data.google_project.this.number}@gcp-sa-pubsub.iam.gserviceaccount.com"
}

resource "google_pubsub_topic" "bqloop" {
  for_each                   = local.topics
  project                    = local.project
  name                       = each.key
  labels                     = local.labels
  kms_key_name               = var.kms_key_name == "" ? null : var.kms_key_name
  message_retention_duration = "604800s" # a week to replay from

  depends_on = [google_project_service.used]
}

resource "google_pubsub_subscription" "stage" {
  for_each                   = local.stages
  project                    = local.project
  name                       = each.value.topic
  topic                      = google_pubsub_topic.bqloop[each.value.topic].id
  ack_deadline_seconds       = min(600, max(10, each.value.timeout_seconds))
  message_retention_duration = "604800s"
  labels                     = local.labels

  push_config {
    # functions-framework reads the topic's name off the end of the path.
    push_endpoint = "${google_cloudfunctions2_function.stage[each.key].service_config[0].uri}/${google_pubsub_topic.bqloop[each.value.topic].id}"

    oidc_token {
      service_account_email = google_service_account.function["delivery"].email
      audience              = google_cloudfunctions2_function.stage[each.key].service_config[0].uri
    }
  }

  retry_policy {
    minimum_backoff = "${local.file.delivery.minimum_backoff_seconds}s"
    maximum_backoff = "${local.file.delivery.maximum_backoff_seconds}s"
  }

  dynamic "dead_letter_policy" {
    for_each = each.value.topic == local.file.delivery.dead_letter_topic ? [] : [local.file.delivery]
    content {
      dead_letter_topic     = google_pubsub_topic.bqloop[dead_letter_policy.value.dead_letter_topic].id
      max_delivery_attempts = dead_letter_policy.value.max_delivery_attempts
    }
  }

  expiration_policy {
    ttl = "" # never: a quiet month must not take a stage's ear away
  }
}

resource "google_pubsub_subscription" "inference_log" {
  project                    = local.project
  name                       = "${local.file.inference_log.topic}-bigquery"
  topic                      = google_pubsub_topic.bqloop[local.file.inference_log.topic].id
  ack_deadline_seconds       = 60
  message_retention_duration = "604800s"
  labels                     = local.labels

  bigquery_config {
    table               = "${local.project}.${local.file.dataset}.${local.file.inference_log.table}"
    use_table_schema    = true
    write_metadata      = false
    drop_unknown_fields = false
  }

  retry_policy {
    minimum_backoff = "${local.file.delivery.minimum_backoff_seconds}s"
    maximum_backoff = "${local.file.delivery.maximum_backoff_seconds}s"
  }

  dead_letter_policy {
    dead_letter_topic     = google_pubsub_topic.bqloop[local.file.delivery.dead_letter_topic].id
    max_delivery_attempts = local.file.delivery.max_delivery_attempts
  }

  expiration_policy {
    ttl = ""
  }

  depends_on = [google_bigquery_table_iam_member.pubsub_writes_log]
}

# Pub/Sub itself writes the log, forwards dead letters, and takes what it forwards off the subscription.
resource "google_bigquery_table_iam_member" "pubsub_writes_log" {
  project    = local.project
  dataset_id = google_bigquery_dataset.bqloop[local.file.dataset].dataset_id
  table_id   = local.file.inference_log.table
  role       = "roles/bigquery.dataEditor"
  member     = local.pubsub_agent

  depends_on = [google_bigquery_job.table]
}

resource "google_pubsub_topic_iam_member" "pubsub_forwards" {
  project = local.project
  topic   = google_pubsub_topic.bqloop[local.file.delivery.dead_letter_topic].name
  role    = "roles/pubsub.publisher"
  member  = local.pubsub_agent
}

resource "google_pubsub_subscription_iam_member" "pubsub_forwards" {
  for_each     = merge({ for name, s in google_pubsub_subscription.stage : name => s.name }, { inference-log = google_pubsub_subscription.inference_log.name })
  project      = local.project
  subscription = each.value
  role         = "roles/pubsub.subscriber"
  member       = local.pubsub_agent
}

resource "google_service_account_iam_member" "pubsub_signs" {
  service_account_id = google_service_account.function["delivery"].name
  role               = "roles/iam.serviceAccountTokenCreator"
  member             = local.pubsub_agent
}

resource "google_cloud_scheduler_job" "stage" {
  for_each  = local.scheduled
  project   = local.project
  region    = local.file.region
  name      = "bqloop-${each.key}"
  schedule  = each.value.cron
  time_zone = each.value.time_zone

  pubsub_target {
    topic_name = google_pubsub_topic.bqloop[each.value.topic].id
    data       = base64encode(jsonencode({ model = each.value.model }))
  }

  depends_on = [google_project_service.used]
}
