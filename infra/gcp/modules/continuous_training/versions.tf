# The provider line is the one whose schema tests/unit/infra/gcp/provider_schema.json holds this module against. google-beta
# is not wanted: nothing here is in beta.
terraform {
  required_version = ">= 1.6.0, < 2.0.0"
  required_providers {
    google = {
      source  = "hashicorp/google"
      version = "~> 6.50"
    }
  }
}
