# What the environment file says, in the shapes that the resources loop over. No name and no figure of an environment
# stands anywhere else in this module.
locals {
  repository = "${path.module}/../../../.."
  file       = yamldecode(file("${local.repository}/infra/environments/${var.environment}.yaml"))
  project    = coalesce(var.project, local.file.project)
  # The bucket is named after the project, because bucket names are unique in the world.
  bucket         = replace(local.file.bucket, local.file.project, local.project)
  ledger_dataset = "${local.file.dataset}_ledger"
  datasets       = toset([local.file.dataset, local.ledger_dataset])

  stages   = { for name, f in local.file.functions : name => f if f.trigger == "pubsub" }
  services = { for name, f in local.file.functions : name => f if f.trigger == "http" }
  topics = toset(concat(
    [for f in local.stages : f.topic],
    [for s in local.file.schedules : s.topic],
    [local.file.delivery.dead_letter_topic, local.file.inference_log.topic],
  ))

  # A scheduled job publishes one message a model.
  scheduled = merge([
    for name, schedule in local.file.schedules : {
      for model in local.file.models : "${name}-${replace(model, "_", "-")}" => merge(schedule, { model = model })
    }
  ]...)

  # One account a stage: <pipeline>-<stage>. Service and delivery have their own.
  accounts = merge(
    { for name in keys(local.stages) : name => "${local.file.service_accounts.pipeline}-${name}" },
    { for name in keys(local.services) : name => local.file.service_accounts[name] },
    { delivery = local.file.service_accounts.scheduler },
  )

  # Every variable that a function reads; the rest comes from the environment file inside the archive. Google sets
  # GOOGLE_CLOUD_PROJECT in no function of the 2nd generation; log lines need it to be found with their request.
  variables = {
    BQLOOP_ENV     = var.environment
    BQLOOP_PROJECT = local.project
    BQLOOP_BUCKET  = local.bucket
    BQLOOP_GIT_SHA = var.git_sha

    GOOGLE_CLOUD_PROJECT = local.project
  }

  # Where a model's SQL is looked for, as etl/templates.py does: its own folder, its kind's, every kind's.
  sql_folders = { for model in local.file.models : model => [
    for folder in [model, "kinds/${try(yamldecode(file("${local.repository}/sql/${model}/model.yml")).task, "classification")}", "kinds/any"] :
    "${local.repository}/sql/${folder}/tables"
  ] }

  # Tables that a grant or a subscription names must be there when those are made. They come from the DDL that Python runs.
  early_tables = merge([
    for model, folders in local.sql_folders : {
      for table in distinct(concat([local.file.inference_log.table], flatten(values(local.table_writes)))) : "${model}_${table}" => replace(
        file([for folder in folders : "${folder}/${table}.sql" if fileexists("${folder}/${table}.sql")][0]),
        "{{ table.${table} }}",
        "`${local.project}.${local.file.dataset}.${table}`",
      )
    }
  ]...)

  labels = { application = "bqloop", environment = var.environment }
}
