"""A local BigQuery: bqemulator's SQL on DuckDB, with real jobs, BigQuery ML, and its gaps mended.

bqemulator (PyPI) brings the REST and Storage APIs, the catalog and the translation of SQL. This package embeds it and
puts its own in the place of what bqloop rests on and bqemulator lacks: asynchronous jobs whose IDs work once and which
survive a crash, real transactions, ML statements, costs, and SQL that computes what BigQuery computes. What is
supported, refused and known to differ is in `infra/local/README.md`.
"""

from . import emulator_patches as _first  # noqa: F401  # patches logging before bqemulator is imported elsewhere
from .ml.predictor import load_predictor
from .server import BigQueryServer

__all__ = ["BigQueryServer", "load_predictor"]
