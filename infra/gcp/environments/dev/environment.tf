# What dev is stands in infra/environments/dev.yaml; what only Terraform needs comes as TF_VAR_….
locals {
  environment         = "dev"
  deletion_protection = false
}
