"""Where bqloop runs: environments, Terraform for Google Cloud, and the laptop's own cloud."""
