"""The SQL that bqloop is made of: templates and model policies, found by path (see `sql/README.md`)."""

from pathlib import Path

ROOT = Path(__file__).resolve().parent
