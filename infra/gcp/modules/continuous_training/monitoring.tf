# A chart for every alert, and what a month may cost before somebody hears of it.
resource "google_monitoring_dashboard" "bqloop" {
  project = local.project
  dashboard_json = jsonencode({
    displayName = "bqloop ${var.environment}"
    gridLayout = {
      columns = "2"
      widgets = [for name, alert in local.alerts : {
        title = name
        xyChart = {
          dataSets = [{
            plotType = "LINE"
            timeSeriesQuery = {
              timeSeriesFilter = {
                filter      = alert.filter
                aggregation = { alignmentPeriod = alert.period, perSeriesAligner = alert.aligner, crossSeriesReducer = alert.reducer }
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
