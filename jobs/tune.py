"""Tune: a search for better parameters, on validation windows before as_of, by Optuna.

Needs features and train at as_of. Run again, it goes on with the trials that are missing.
"""

import logging
from pathlib import Path

from activityrec.job import Job, main
from activityrec.tuning.report import fragment, rows
from activityrec.tuning.search import tune
from activityrec.tuning.study import folder_of

log = logging.getLogger("activityrec")


def run(job: Job) -> None:
    result = tune(job)
    given = job.options.get("output")
    path = Path(given) if given else (folder_of(job.config) or Path()) / f"{job.run_id}-tune.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(fragment(result), encoding="utf-8")
    log.info("%d trials, %d more stopped early; best parameters: %s", result.trials,
             result.pruned, path)  # fmt: skip
    for name, value in rows(result):
        print(f"{name:40s} {value}")
    print(fragment(result), end="")


if __name__ == "__main__":
    # No table is written, and a long search keeps no other job waiting.
    main([], __doc__, finish=run, options={"output": "file of the best parameters, as YAML"})
