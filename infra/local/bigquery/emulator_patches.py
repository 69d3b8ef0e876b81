"""Every change that is made to bqemulator's own modules from outside: nowhere else is anything of it replaced.

Subclasses and arguments do the rest. Looked at with bqemulator 1.4.0; pyproject.toml keeps it below 1.5.
"""

# ruff: noqa: SLF001  # sqlglot's parser and bqemulator's internals are what is adapted here

from __future__ import annotations

import logging
from typing import Any

import structlog
from bqemulator.observability import logging_


def _quiet_logger(name: str, **_: Any) -> Any:
    """bqemulator's messages as ordinary log records; by itself it prints them and configures structlog for everybody."""
    return structlog.wrap_logger(
        logging.getLogger(name),
        processors=[structlog.stdlib.filter_by_level, structlog.stdlib.render_to_log_kwargs],
        wrapper_class=structlog.stdlib.BoundLogger,
    )


# Before any other module of bqemulator is imported: each asks for its logger at its top.
logging_.get_logger = _quiet_logger

from bqemulator.sql import translator  # noqa: E402  # see above


def apply() -> None:
    """Make the changes; as often as wanted."""
    _let_ml_through()
    # PARTITION BY, CLUSTER BY and OPTIONS mean nothing to DuckDB; sqlglot says so for each of them on standard error.
    logging.getLogger("sqlglot").addFilter(lambda record: not str(record.msg).startswith("Unsupported property"))


def _let_ml_through() -> None:
    """bqemulator refuses any text with `ML.PREDICT` in it, in a string literal too; ML is carried out before it here."""
    translator._UNSUPPORTED_KEYWORDS = frozenset()
