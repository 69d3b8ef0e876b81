# What prod is stands in infra/environments/prod.yaml; what only Terraform needs comes as TF_VAR_….
locals {
  environment         = "prod"
  deletion_protection = true
}
