"""The analyst's workbench: what a change of the SQL does, known before anyone merges it and without Google Cloud."""
