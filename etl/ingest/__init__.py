"""Import of deals and labels from files."""

from etl.ingest.importing import ImportReport, import_deals, import_labels
from etl.ingest.rows import BrokenRow

__all__ = ["BrokenRow", "ImportReport", "import_deals", "import_labels"]
