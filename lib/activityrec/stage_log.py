"""The log of stages, ``serving.stages``, and where a run that broke off goes on."""

import logging
from collections.abc import Mapping, Sequence
from datetime import date, datetime, timezone

from pyspark.sql import functions as F

from activityrec import tables
from activityrec.clock import later_than
from activityrec.config import Config
from activityrec.errors import StateError
from activityrec.fingerprint import fingerprint
from activityrec.lakehouse import Lakehouse

log = logging.getLogger("activityrec")


class StageLog:
    """What is known of the stages of one run."""

    def __init__(self, lakehouse: Lakehouse, config: Config, run_id: str, as_of: date) -> None:
        self.lakehouse, self.run_id, self.as_of = lakehouse, run_id, as_of
        self.private = config.privacy is not None
        self.configuration = fingerprint(config.model_dump_json())

    def begun(self, stage: str) -> None:
        """A run that starts with this stage: what was done before counts no more."""
        self._add(stage, "begun", 0.0, {}, None)

    def done(self, stage: str, seconds: float, rows: Mapping[str, int]) -> None:
        self._add(stage, "done", seconds, rows, None)

    def failed(self, stage: str, seconds: float, error: str, status: str = "failed") -> None:
        """Say why a stage failed, if that can still be said; never in the way of the error.

        With ``privacy`` without the words of the error: an erasure could not find a user there.
        """
        error = "see the log of the job" if self.private else error
        try:
            self._add(stage, status, seconds, {}, error)
        except Exception as second:
            log.debug("%s: not in serving.stages: %s", stage, type(second).__name__)

    def first_unfinished(self, stages: Sequence[str]) -> int:
        """The place in ``stages`` of the first that is not done since the one before it, and since
        the last ingest of any run: what came in then is not in the features.

        Raises
        ------
        StateError
            A stage before that ran with another configuration.
        """
        if not self.lakehouse.exists(tables.STAGES):
            return 0
        ours = F.col("run_id") == self.run_id
        came_in = F.col("stage").startswith("ingest") & (F.col("status") == "done")
        rows = (
            self.lakehouse.read(tables.STAGES).where(ours | came_in).orderBy("ended_ts").collect()
        )
        last = {row["stage"]: row for row in rows if row["run_id"] == self.run_id}
        others = [row["ended_ts"] for row in rows if row["stage"].startswith("ingest")]
        before: datetime | None = None
        for place, stage in enumerate(stages):
            row = last.get(stage)
            if row is None or row["status"] != "done" or (before and row["ended_ts"] < before):
                return place
            if stage == "features" and others and row["ended_ts"] < others[-1]:
                return place
            if row["configuration"] != self.configuration:
                raise StateError(
                    f"run {self.run_id}: the configuration has changed since {stage} was done: "
                    "run the pipeline without --resume"
                )
            before = row["ended_ts"]
        return len(stages)

    def _add(
        self, stage: str, status: str, seconds: float, rows: Mapping[str, int], error: str | None
    ) -> None:
        # How much was erased of one user would tell about them.
        rows = {} if self.private and stage.startswith("forget") else rows
        row = (self.run_id, self.as_of, stage, status, self._now(), seconds, dict(rows), error,
               self.configuration)  # fmt: skip
        frame = self.lakehouse.spark.createDataFrame([row], tables.STAGES.row_type)
        self.lakehouse.append(tables.STAGES, frame.coalesce(1))

    def _now(self) -> datetime:
        """The time, later than that of the last row: --resume goes by the order of rows."""
        now = datetime.now(timezone.utc)
        if not self.lakehouse.exists(tables.STAGES):
            return now
        (last,) = self.lakehouse.read(tables.STAGES).agg(F.max("ended_ts")).collect()[0]
        return later_than(last, now)
