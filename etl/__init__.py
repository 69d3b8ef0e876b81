"""Data in, and the way to the warehouse: settings, templates, BigQuery, the ledger, imports and generated deals."""
