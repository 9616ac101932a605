"""What retrievers say of examples when they are fitted anew with other parameters."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from activityrec import tables
from activityrec.config import Config
from activityrec.job import Job
from activityrec.retrieval.activities import activity_vectors
from activityrec.retrieval.fits import fit_dates
from activityrec.retrieval.known import known_before
from activityrec.retrieval.pairs import calendar, pair_scores
from activityrec.retrieval.registry import RETRIEVERS
from activityrec.retrieval.segments import with_segments
from activityrec.tuning.windows import Window

KEY = ["snapshot_date", "user_id", "activity_id"]


def fitted_scores(job: Job, config: Config, name: str, day: date, pairs: DataFrame) -> DataFrame:
    """Scores of a retriever that is fitted on a day for pairs of that day or later.

    Parameters
    ----------
    pairs
        snapshot_date, user_id, activity_id.

    Returns
    -------
    DataFrame
        These with ``<name>_score`` and ``<name>_rank``: 0 and a rank by it where there is
        nothing to learn from yet.
    """
    known = known_before(job.lakehouse, config, day)
    section = getattr(config.retrieval, name)
    marks = {"fitted_date": F.lit(day), "retriever": F.lit(name)}
    learnable = not known.interactions.isEmpty()
    if learnable:
        if name == "popularity":
            known = with_segments(known, config)
        vectors = RETRIEVERS[name](known, section)
        both = (vectors.users, vectors.items)
        # Activities look at items more than once.
        users, items = (known.keep(rows.withColumns(marks)) for rows in both)
    else:
        users = job.lakehouse.read(tables.USER_VECTORS).limit(0)
        items = job.lakehouse.read(tables.ITEM_VECTORS).limit(0)
    return pair_scores(
        pairs.select(*KEY).distinct(),
        [day] if learnable else [],
        users,
        activity_vectors(
            items,
            job.lakehouse.read(tables.ACTIVITY_PRODUCTS),
            config.retrieval.own_prior,
            [name] if section.pooling == "sum" else [],
        ),
        calendar(job.lakehouse.read(tables.ACTIVITIES), config.recommend.planning_days),
        [name],
    )


def fit_spans(windows: Sequence[Window], first: date, as_of: date, refit_days: int) -> list[Window]:
    """The days of fits, each with the days that are scored by it.

    Every window's first day is one, so that its validation is scored by a fit at its beginning.
    Earlier days are scored by fits before them: one that knew what came of an example would
    tell the ranker to trust it.
    """
    start = min(window.first for window in windows)
    days = [day for day in fit_dates(as_of, first, refit_days) if day < start]
    days = [*days, *sorted({window.first for window in windows})]
    return [Window(*ends) for ends in zip(days, [*days[1:], as_of], strict=True)]


@dataclass
class Rescored:
    """Examples with the scores of some retrievers as other parameters give them.

    What was fitted is kept: the same retriever with the same parameters on the same day is not
    fitted again.

    Attributes
    ----------
    names
        The retrievers whose columns are replaced.
    fits
        How often something was fitted.
    """

    job: Job
    examples: DataFrame
    names: list[str]
    spans: list[Window]
    fits: int = 0
    _kept: dict[str, DataFrame] = field(default_factory=dict)

    def until(self, config: Config, end: date) -> DataFrame:
        """The examples of the days before ``end``."""
        rows = self.examples.where(F.col("exposure_ts") < F.lit(end).cast("timestamp"))
        for name in self.names:
            scores = None
            for span in (span for span in self.spans if span.first < end):
                found = self._of(config, name, span)
                scores = found if scores is None else scores.unionByName(found)
            assert scores is not None
            rows = rows.drop(f"{name}_score", f"{name}_rank").join(scores, on=KEY, how="inner")
        return rows

    def _of(self, config: Config, name: str, span: Window) -> DataFrame:
        section = getattr(config.retrieval, name).model_dump()
        prior, shares = config.retrieval.own_prior, config.interactions.model_dump()
        key = json.dumps([name, str(span.first), section, prior, shares], sort_keys=True)
        if key not in self._kept:
            pairs = span.validation(self.examples)
            with self.job.lakehouse.checkpoints():
                scores = fitted_scores(self.job, config, name, span.first, pairs)
                # Stays when the cache is cleared of what the fit left in it.
                self._kept[key] = scores.localCheckpoint()
            self.job.spark.catalog.clearCache()
            self.fits += 1
        return self._kept[key]
