"""All stages in one session: from sources to the published run and its report, and a look at it."""

import evaluate
import features
import ingest
import publish
import recommend
import report
import show
import train
from activityrec.job import main

STAGES = [
    ("ingest", ingest.run),
    ("features", features.run),
    ("train", train.run),
    ("recommend", recommend.run),
    ("evaluate", evaluate.run),
    ("publish", publish.run),
    ("report", report.run),
]

if __name__ == "__main__":
    main(STAGES, __doc__, finish=show.show)
