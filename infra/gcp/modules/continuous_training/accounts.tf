# One account a function, and what each may do. A dataset's or topic's own policy is used wherever there is one.
locals {
  # Whom a stage's success is announced to. Every stage may hand what it cannot read to the dead letters.
  announces = {
    check    = ["features"]
    features = ["train"]
    train    = ["evaluate"]
    evaluate = ["decide"]
    decide   = ["deploy"]
    monitor  = ["check"]
  }

  # deals: the dataset of data, features and models. Every stage writes what it did to the ledger.
  deals_role = {
    check       = "roles/bigquery.dataViewer"
    features    = "roles/bigquery.dataEditor"
    train       = "roles/bigquery.dataEditor"
    evaluate    = "roles/bigquery.dataEditor"
    decide      = "" # judges the metrics that the ledger holds
    deploy      = "roles/bigquery.dataViewer"
    rollout     = "roles/bigquery.dataViewer"
    score       = "roles/bigquery.dataEditor"
    monitor     = "roles/bigquery.dataViewer"
    dead-letter = ""
    service     = "roles/bigquery.dataViewer"
  }

  vertex_role = {
    train    = "roles/aiplatform.user" # CREATE MODEL with model_registry uploads a version
    evaluate = "roles/aiplatform.user" # labels a version with its metrics
    deploy   = "roles/aiplatform.user"
    rollout  = "roles/aiplatform.user"
    score    = "roles/aiplatform.viewer"
    monitor  = "roles/aiplatform.viewer"
  }

  # Single tables that an account writes without writing the dataset: what a check quarantines, predictions that are too
  # old, verdicts and the labels that follow from them.
  table_writes = {
    check   = ["quarantined_rows"]
    monitor = ["inference_log"]
    service = ["feedback", "labels"]
  }

  publishes = merge(
    { for pair in flatten([
      for stage, successors in local.announces : [for s in successors : { from = stage, topic = local.stages[s].topic }]
    ]) : "${pair.from}-${pair.topic}" => pair },
    { for stage, f in local.stages : "${stage}-${local.file.delivery.dead_letter_topic}" =>
    { from = stage, topic = local.file.delivery.dead_letter_topic } if f.topic != local.file.delivery.dead_letter_topic },
    { for name in keys(local.services) : "${name}-${local.file.inference_log.topic}" =>
    { from = name, topic = local.file.inference_log.topic } },
  )
}

resource "google_service_account" "function" {
  for_each     = local.accounts
  project      = local.project
  account_id   = each.value
  display_name = "bqloop: ${each.key}"

  depends_on = [google_project_service.used]
}

resource "google_project_iam_member" "runs_jobs" {
  for_each = { for name, account in local.accounts : name => account if name != "delivery" }
  project  = local.project
  role     = "roles/bigquery.jobUser"
  member   = google_service_account.function[each.key].member
}

resource "google_bigquery_dataset_iam_member" "deals" {
  for_each   = { for name, role in local.deals_role : name => role if role != "" }
  project    = local.project
  dataset_id = google_bigquery_dataset.bqloop[local.file.dataset].dataset_id
  role       = each.value
  member     = google_service_account.function[each.key].member
}

resource "google_bigquery_dataset_iam_member" "ledger" {
  for_each   = { for name, account in local.accounts : name => account if name != "delivery" }
  project    = local.project
  dataset_id = google_bigquery_dataset.bqloop[local.ledger_dataset].dataset_id
  role       = contains(keys(local.services), each.key) ? "roles/bigquery.dataViewer" : "roles/bigquery.dataEditor"
  member     = google_service_account.function[each.key].member
}

resource "google_bigquery_table_iam_member" "writes" {
  for_each = { for pair in flatten([
    for name, tables in local.table_writes : [for table in tables : { account = name, table = table }]
  ]) : "${pair.account}-${pair.table}" => pair }
  project    = local.project
  dataset_id = google_bigquery_dataset.bqloop[local.file.dataset].dataset_id
  table_id   = each.value.table
  role       = "roles/bigquery.dataEditor"
  member     = google_service_account.function[each.value.account].member

  depends_on = [google_bigquery_job.table]
}

resource "google_project_iam_member" "vertex" {
  for_each = local.vertex_role
  project  = local.project
  role     = each.value
  member   = google_service_account.function[each.key].member
}

# The service asks and looks; it can neither deploy nor move an alias.
resource "google_project_iam_custom_role" "asks" {
  project     = local.project
  role_id     = "bqloop_asks"
  title       = "bqloop: asks the endpoint"
  permissions = ["aiplatform.endpoints.get", "aiplatform.endpoints.predict", "aiplatform.models.get", "aiplatform.models.list"]
}

resource "google_project_iam_member" "asks" {
  for_each = local.services
  project  = local.project
  role     = google_project_iam_custom_role.asks.name
  member   = google_service_account.function[each.key].member
}

resource "google_pubsub_topic_iam_member" "publishes" {
  for_each = local.publishes
  project  = local.project
  topic    = google_pubsub_topic.bqloop[each.value.topic].name
  role     = "roles/pubsub.publisher"
  member   = google_service_account.function[each.value.from].member
}
