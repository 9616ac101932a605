"""Forget: the users listed in a file leave every table, or what is held on them is written out."""

import logging

from activityrec import tables
from activityrec.erasure import export, forget, lists_nobody, read_ids
from activityrec.errors import ConfigError, PrivacyError
from activityrec.ingest.keyed import check_key
from activityrec.ingest.privacy import Protection
from activityrec.job import Job, main

log = logging.getLogger("activityrec")

OPTIONS = {
    "users": "file with one user id a line, as the sources know them",
    "export": "a new folder: write what is held on the users there, and forget nobody",
}


FLAGS = {"if-any": "do nothing where the file is missing or lists nobody: for a schedule"}


def run(job: Job) -> dict[str, int]:
    users, folder = job.options.get("users"), job.options.get("export")
    if users is None:
        raise ConfigError("--users FILE is missing: who is to be forgotten")
    if "if-any" in job.flags and lists_nobody(users):
        log.info("forget: %s lists nobody", users)
        return {}
    ids = read_ids(users)
    protection = Protection.open(job.spark, job.config)
    if protection is None:
        raise PrivacyError(
            "users are kept from coming back by a keyed hash of their ids: give privacy.key_env "
            "or privacy.key_secret"
        )
    check_key(job.lakehouse, protection, plain_too=True)
    contracts = tables.all_tables(job.config)
    if folder is not None:
        return export(job.lakehouse, protection, contracts, ids, folder)
    return forget(job.lakehouse, protection, contracts, ids, job.now)


if __name__ == "__main__":
    main([("forget", run)], __doc__, options=OPTIONS, flags=FLAGS, dated=False)
