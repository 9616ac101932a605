"""Sources to clean tables: rows that break a contract go to quarantine with their reasons."""

from activityrec.ingest.horizon import check_as_of
from activityrec.ingest.judge import Ingestion
from activityrec.ingest.load import load_tables
from activityrec.ingest.replay import replay_quarantine

__all__ = ["Ingestion", "check_as_of", "load_tables", "replay_quarantine"]
