"""Serve: a Thrift Server over the serving tables and views, for SQL clients and BI tools."""

import logging
import time

from py4j.protocol import Py4JJavaError
from pyspark.errors import PySparkException

from activityrec.errors import ConfigError, first_line
from activityrec.job import Job, main
from activityrec.serving.thrift_server import SCHEMA, register, start

log = logging.getLogger("activityrec")

OPTIONS = {
    "host": "address that the server listens at; default: 127.0.0.1, this machine alone",
    "port": "default: 10000",
}
NEW_TABLES_SECONDS = 30
"""How often tables are looked for that have come since, as by a first evaluation."""


def serve(job: Job) -> None:
    host = job.options["host"] or "127.0.0.1"
    port = port_of(job.options["port"] or "10000")
    where = job.lakehouse.root or f"catalog {job.lakehouse.catalog}"
    if not register(job.lakehouse) and job.lakehouse.root is not None:
        log.warning("there are no serving tables at %s yet; looking again from time to time", where)
    start(job.spark, host, port)
    log.info("serving %s at jdbc:hive2://%s:%d/%s until it is stopped", where, host, port, SCHEMA)
    while True:
        time.sleep(NEW_TABLES_SECONDS)
        look_for_new_tables(job)


def look_for_new_tables(job: Job) -> None:
    """What fails here, as where storage does not answer, may succeed the next time."""
    try:
        if added := register(job.lakehouse):
            log.info("new: %s", ", ".join(added))
    except (PySparkException, Py4JJavaError) as error:
        log.warning("new tables could not be looked for: %s", first_line(error))


def port_of(text: str) -> int:
    if not (text.isdecimal() and 0 < int(text) < 65536):
        raise ConfigError(f"--port {text}: not a port, expected 1 to 65535")
    return int(text)


if __name__ == "__main__":
    main([], __doc__, finish=serve, options=OPTIONS, dated=False)
