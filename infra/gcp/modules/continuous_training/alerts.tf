# What must wake somebody. Every log filter reads fields that functions and stages log; tests hold the two together.
locals {
  from_functions = "resource.type=\"cloud_run_revision\" AND resource.labels.service_name=~\"^bqloop-\""
  log_metrics = {
    checks          = "jsonPayload.stage=\"check\""
    dead_letters    = "jsonPayload.alert=\"dead_letter\""
    failed_stages   = "jsonPayload.status=\"FAILED\""
    rolled_back     = "jsonPayload.alert=\"rolled_back\""
    stale_champions = "jsonPayload.alert=\"stale_champion\""
  }

  # A metric that is over its limit.
  limits = {
    failed-stage = {
      text     = "A stage failed for good. The champion goes on serving. See: bqloop status; then bqloop runs show RUN, and bqloop runs replay RUN."
      metric   = "logging.googleapis.com/user/bqloop_failed_stages", resource = "cloud_run_revision", where = ""
      severity = "ERROR", period = "300s", aligner = "ALIGN_DELTA", reducer = "REDUCE_SUM", limit = 0
    }
    dead-letter = {
      text     = "A message was given up after all its deliveries; the ledger has its run as FAILED. See the function's log, then: bqloop runs replay RUN."
      metric   = "logging.googleapis.com/user/bqloop_dead_letters", resource = "cloud_run_revision", where = ""
      severity = "CRITICAL", period = "300s", aligner = "ALIGN_DELTA", reducer = "REDUCE_SUM", limit = 0
    }
    stale-champion = {
      text     = "The champion is twice as old as max_age_days: runs are skipped, rejected or fail. See: bqloop status, and bqloop review."
      metric   = "logging.googleapis.com/user/bqloop_stale_champions", resource = "cloud_run_revision", where = ""
      severity = "WARNING", period = "300s", aligner = "ALIGN_DELTA", reducer = "REDUCE_SUM", limit = 0
    }
    canary-rolled-back = {
      text     = "A challenger went back to no traffic; the champion serves alone. The reason: bqloop history."
      metric   = "logging.googleapis.com/user/bqloop_rolled_back", resource = "cloud_run_revision", where = ""
      severity = "WARNING", period = "300s", aligner = "ALIGN_DELTA", reducer = "REDUCE_SUM", limit = 0
    }
    predictions-not-landing = {
      text     = "Predictions wait longer than ten minutes for the table: look at the subscription's state, and at the table's columns."
      metric   = "pubsub.googleapis.com/subscription/oldest_unacked_message_age", resource = "pubsub_subscription"
      where    = "resource.label.subscription_id=\"${local.file.inference_log.topic}-bigquery\""
      severity = "ERROR", period = "300s", aligner = "ALIGN_MAX", reducer = "REDUCE_MAX", limit = 600
    }
    service-errors = {
      text     = "The prediction service answers with 5xx. See its log; a bad version goes by: bqloop rollback."
      metric   = "run.googleapis.com/request_count", resource = "cloud_run_revision"
      where    = "resource.label.service_name=\"bqloop-service\" AND metric.label.response_code_class=\"5xx\""
      severity = "ERROR", period = "300s", aligner = "ALIGN_DELTA", reducer = "REDUCE_SUM", limit = 5
    }
    cost = {
      text     = "BigQuery billed more than ten times one query's budget within a day. See: bqloop cost."
      metric   = "bigquery.googleapis.com/query/scanned_bytes_billed", resource = "global", where = ""
      severity = "WARNING", period = "86400s", aligner = "ALIGN_DELTA", reducer = "REDUCE_SUM", limit = 10 * local.file.budgets.maximum_bytes_billed
    }
  }

  # A metric that has had nothing to tell for a day; 23 hours and a half is the longest that Cloud Monitoring waits. One
  # that never told anything is not missed: bqloop doctor sees that.
  silences = {
    loop-stands-still = {
      text     = "No check ran for a day, so the champion grows stale. Is the scheduler's job paused, the function failing at its start?"
      metric   = "logging.googleapis.com/user/bqloop_checks", resource = "cloud_run_revision", where = ""
      severity = "WARNING", period = "3600s", aligner = "ALIGN_DELTA", reducer = "REDUCE_SUM", silence = "84600s"
    }
    no-prediction-logged = {
      text     = "No prediction was published for a day: nobody asks, or the service cannot."
      metric   = "pubsub.googleapis.com/topic/send_request_count", resource = "pubsub_topic"
      where    = "resource.label.topic_id=\"${local.file.inference_log.topic}\""
      severity = "WARNING", period = "3600s", aligner = "ALIGN_DELTA", reducer = "REDUCE_SUM", silence = "84600s"
    }
  }

  alerts = { for name, alert in merge(local.limits, local.silences) : name => merge({ limit = null, silence = null }, alert, {
    filter = join(" AND ", compact(["metric.type=\"${alert.metric}\"", "resource.type=\"${alert.resource}\"", alert.where]))
  }) }
}

resource "google_logging_metric" "bqloop" {
  for_each    = local.log_metrics
  project     = local.project
  name        = "bqloop_${each.key}"
  description = "bqloop: lines with ${each.value}"
  filter      = "${local.from_functions} AND ${each.value}"

  metric_descriptor {
    metric_kind = "DELTA"
    value_type  = "INT64"
  }

  depends_on = [google_project_service.used]
}

resource "google_monitoring_notification_channel" "email" {
  for_each     = var.alert_emails
  project      = local.project
  display_name = "bqloop: ${each.key}"
  type         = "email"
  labels       = { email_address = each.key }

  depends_on = [google_project_service.used]
}

resource "google_monitoring_alert_policy" "bqloop" {
  for_each              = local.alerts
  project               = local.project
  display_name          = "bqloop ${var.environment}: ${each.key}"
  combiner              = "OR"
  severity              = each.value.severity
  notification_channels = [for c in google_monitoring_notification_channel.email : c.id]
  user_labels           = local.labels

  conditions {
    display_name = each.key

    dynamic "condition_threshold" {
      for_each = each.value.limit == null ? [] : [each.value.limit]
      content {
        filter          = each.value.filter
        comparison      = "COMPARISON_GT"
        threshold_value = condition_threshold.value
        duration        = "0s"

        aggregations {
          alignment_period     = each.value.period
          per_series_aligner   = each.value.aligner
          cross_series_reducer = each.value.reducer
        }
      }
    }

    dynamic "condition_absent" {
      for_each = compact([each.value.silence])
      content {
        filter   = each.value.filter
        duration = condition_absent.value

        aggregations {
          alignment_period     = each.value.period
          per_series_aligner   = each.value.aligner
          cross_series_reducer = each.value.reducer
        }
      }
    }
  }

  documentation {
    content   = each.value.text
    mime_type = "text/markdown"
  }

  depends_on = [google_logging_metric.bqloop]
}
