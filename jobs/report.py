"""Report: what the evaluation found, as one HTML page."""

import logging

from activityrec import tables
from activityrec.evaluation.report.data import read_report
from activityrec.evaluation.report.place import MISSING, can_render, report_path
from activityrec.job import Job, main
from activityrec.serving.attempts import last_in

log = logging.getLogger("activityrec")


def run(job: Job) -> dict[str, int]:
    if not can_render():
        log.info("report: skipped: %s", MISSING)
        return {"reports": 0}
    # Its packages are an extra.
    from activityrec.evaluation.report.page import render

    data = read_report(job.lakehouse, job.run_id, job.as_of)
    page = render(data)
    path = report_path(job.config, job.run_id)
    if path is not None:
        job.lakehouse.files.replace_text(path, page)
    with job.tracking.run(f"{job.run_id} report", job.as_of, {}, data.versions):
        job.tracking.log_text(page, "report.html")
    log.info("report: %s", path or "in MLflow only: evaluate.report_folder is not set")
    return {"reports": 1}


if __name__ == "__main__":
    main([("report", run)], __doc__, attempt=last_in(tables.METRICS))
