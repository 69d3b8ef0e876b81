output "functions" {
  description = "Where each stage's function answers Pub/Sub."
  value       = { for name, f in google_cloudfunctions2_function.stage : name => f.service_config[0].uri }
}

output "service" {
  description = "Where the prediction service answers; empty until service_image is given."
  value       = one([for s in google_cloud_run_v2_service.service : s.uri])
}

output "images" {
  description = "Where the service's image is pushed to."
  value       = "${local.file.region}-docker.pkg.dev/${local.project}/${google_artifact_registry_repository.images.repository_id}"
}

output "accounts" {
  description = "The account of each function."
  value       = { for name, a in google_service_account.function : name => a.email }
}
