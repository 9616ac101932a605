"""Sources to clean tables: rows that break a contract go to quarantine with their reasons."""

from activityrec.ingest.clean import CleanTable, clean_tables
from activityrec.ingest.horizon import check_as_of, check_valid

__all__ = ["CleanTable", "check_as_of", "check_valid", "clean_tables"]
