# What must wake somebody. Every filter reads fields that functions/structured_logs.py writes.
locals {
  from_functions = "resource.type=\"cloud_run_revision\" AND resource.labels.service_name=~\"^bqloop-\""
  log_metrics = {
    failed_stages = "jsonPayload.status=\"FAILED\""
    dead_letters  = "jsonPayload.alert=\"dead_letter\""
    checks        = "jsonPayload.stage=\"check\""
  }

  # Conditions on a metric that is over a limit.
  limits = {
    failed-stage = {
      text     = "A stage failed for good. The champion goes on serving. See: bqloop status; then bqloop runs show RUN, and bqloop runs replay RUN."
      filter   = "metric.type=\"logging.googleapis.com/user/bqloop_failed_stages\" AND resource.type=\"cloud_run_revision\""
      aligner  = "ALIGN_DELTA", period = "300s", reducer = "REDUCE_SUM", limit = 0
      severity = "ERROR"
    }
    dead-letter = {
      text     = "A message was given up after all its deliveries; the ledger has its run as FAILED. See the function's log, then: bqloop runs replay RUN."
      filter   = "metric.type=\"logging.googleapis.com/user/bqloop_dead_letters\" AND resource.type=\"cloud_run_revision\""
      aligner  = "ALIGN_DELTA", period = "300s", reducer = "REDUCE_SUM", limit = 0
      severity = "CRITICAL"
    }
    predictions-not-landing = {
      text     = "Predictions wait longer than ten minutes for the table: look at the subscription's state, and at the table's columns."
      filter   = "metric.type=\"pubsub.googleapis.com/subscription/oldest_unacked_message_age\" AND resource.type=\"pubsub_subscription\" AND resource.label.subscription_id=\"${local.file.inference_log.topic}-bigquery\""
      aligner  = "ALIGN_MAX", period = "300s", reducer = "REDUCE_MAX", limit = 600
      severity = "ERROR"
    }
    service-errors = {
      text     = "The prediction service answers with 5xx. See its log; a bad version goes by: bqloop rollback."
      filter   = "metric.type=\"run.googleapis.com/request_count\" AND resource.type=\"cloud_run_revision\" AND resource.label.service_name=\"bqloop-service\" AND metric.label.response_code_class=\"5xx\""
      aligner  = "ALIGN_DELTA", period = "300s", reducer = "REDUCE_SUM", limit = 5
      severity = "ERROR"
    }
    cost = {
      text     = "BigQuery billed more than ten times one query's budget within a day. See: bqloop cost."
      filter   = "metric.type=\"bigquery.googleapis.com/query/scanned_bytes_billed\" AND resource.type=\"global\""
      aligner  = "ALIGN_DELTA", period = "86400s", reducer = "REDUCE_SUM", limit = 10 * local.file.budgets.maximum_bytes_billed
      severity = "WARNING"
    }
  }

  # Conditions on a metric that has nothing to tell.
  silences = {
    loop-stands-still = {
      text    = "No check ran for a day, so the champion grows stale. Is the scheduler's job paused, the function failing at its start?"
      filter  = "metric.type=\"logging.googleapis.com/user/bqloop_checks\" AND resource.type=\"cloud_run_revision\""
      seconds = 84600
    }
    no-prediction-logged = {
      text    = "No prediction was published for a day: nobody asks, or the service cannot."
      filter  = "metric.type=\"pubsub.googleapis.com/topic/send_request_count\" AND resource.type=\"pubsub_topic\" AND resource.label.topic_id=\"${local.file.inference_log.topic}\""
      seconds = 84600
    }
  }
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

resource "google_monitoring_alert_policy" "limit" {
  for_each              = local.limits
  project               = local.project
  display_name          = "bqloop ${var.environment}: ${each.key}"
  combiner              = "OR"
  severity              = each.value.severity
  notification_channels = [for c in google_monitoring_notification_channel.email : c.id]
  user_labels           = local.labels

  conditions {
    display_name = each.key

    condition_threshold {
      filter          = each.value.filter
      comparison      = "COMPARISON_GT"
      threshold_value = each.value.limit
      duration        = "0s"

      aggregations {
        alignment_period     = each.value.period
        per_series_aligner   = each.value.aligner
        cross_series_reducer = each.value.reducer
      }
    }
  }

  documentation {
    content   = each.value.text
    mime_type = "text/markdown"
  }

  depends_on = [google_logging_metric.bqloop]
}

resource "google_monitoring_alert_policy" "silence" {
  for_each              = local.silences
  project               = local.project
  display_name          = "bqloop ${var.environment}: ${each.key}"
  combiner              = "OR"
  severity              = "WARNING"
  notification_channels = [for c in google_monitoring_notification_channel.email : c.id]
  user_labels           = local.labels

  conditions {
    display_name = each.key

    condition_absent {
      filter   = each.value.filter
      duration = "${each.value.seconds}s"

      aggregations {
        alignment_period     = "3600s"
        per_series_aligner   = "ALIGN_DELTA"
        cross_series_reducer = "REDUCE_SUM"
      }
    }
  }

  documentation {
    content   = each.value.text
    mime_type = "text/markdown"
  }

  depends_on = [google_logging_metric.bqloop]
}

resource "google_monitoring_dashboard" "bqloop" {
  project = local.project
  dashboard_json = jsonencode({
    displayName = "bqloop ${var.environment}"
    gridLayout = {
      columns = "2"
      widgets = [for name, limit in local.limits : {
        title = name
        xyChart = {
          dataSets = [{
            plotType = "LINE"
            timeSeriesQuery = {
              timeSeriesFilter = {
                filter      = limit.filter
                aggregation = { alignmentPeriod = limit.period, perSeriesAligner = limit.aligner, crossSeriesReducer = limit.reducer }
              }
            }
          }]
        }
      }]
    }
  })

  depends_on = [google_logging_metric.bqloop]
}

resource "google_billing_budget" "monthly" {
  for_each        = var.budget == null ? {} : { monthly = var.budget }
  billing_account = each.value.billing_account
  display_name    = "bqloop ${var.environment}"

  budget_filter {
    projects = ["projects/${data.google_project.this.number}"]
  }

  amount {
    specified_amount {
      currency_code = each.value.currency
      units         = tostring(floor(each.value.amount))
    }
  }

  dynamic "threshold_rules" {
    for_each = [0.5, 0.9, 1.0]
    content {
      threshold_percent = threshold_rules.value
    }
  }

  all_updates_rule {
    monitoring_notification_channels = [for c in google_monitoring_notification_channel.email : c.id]
  }
}
