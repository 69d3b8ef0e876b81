"""Import of deals, labels and rows from files."""

from etl.ingest.importing import ImportOptions, import_deals, import_labels, import_rows
from etl.ingest.report import ImportReport
from etl.ingest.rows import BrokenRow

__all__ = ["BrokenRow", "ImportOptions", "ImportReport", "import_deals", "import_labels", "import_rows"]
