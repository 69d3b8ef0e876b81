# What staging is stands in infra/environments/staging.yaml; what only Terraform needs comes as TF_VAR_….
locals {
  environment         = "staging"
  deletion_protection = true
}
