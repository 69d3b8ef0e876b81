# Datasets. Tables and views are made by `bqloop deploy` from the same DDL as everywhere; the few tables that must be
# there earlier are made here, from that DDL too.
resource "google_bigquery_dataset" "bqloop" {
  for_each                   = local.datasets
  project                    = local.project
  dataset_id                 = each.key
  location                   = local.file.location
  description                = each.key == local.ledger_dataset ? "What bqloop did, and why" : "Deals, labels, features, models and predictions of bqloop"
  labels                     = local.labels
  max_time_travel_hours      = 168
  delete_contents_on_destroy = !var.deletion_protection

  dynamic "default_encryption_configuration" {
    for_each = compact([var.kms_key_name])
    content {
      kms_key_name = default_encryption_configuration.value
    }
  }

  depends_on = [google_project_service.used]
}

# A job's ID can be used once in a project: the statement runs once, and again when the DDL changes or the dataset is made
# anew. It is CREATE … IF NOT EXISTS.
resource "google_bigquery_job" "table" {
  for_each = local.early_tables
  project  = local.project
  job_id   = "bqloop_ddl_${each.key}_${substr(sha256("${each.value}${google_bigquery_dataset.bqloop[local.file.dataset].creation_time}"), 0, 16)}"
  location = google_bigquery_dataset.bqloop[local.file.dataset].location

  query {
    query              = each.value
    use_legacy_sql     = false
    create_disposition = "" # a job with DDL may not have these, and the provider would fill them in
    write_disposition  = ""
  }
}
