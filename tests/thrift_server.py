"""The Thrift Server of ``jobs/serve.py`` for tests, on loopback, and jobs beside it."""

import os
import signal
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pyhive import hive

from tests.conftest import ROOT
from tests.ports import free_port

BEELINE = next((ROOT / ".venv").glob("lib/python*/site-packages/pyspark/bin/beeline"))


def submit(*arguments: str | Path, env: Mapping[str, str] | None = None) -> subprocess.Popen[str]:
    """``spark-submit.sh`` with small settings, in a process group of its own."""
    return subprocess.Popen(
        [str(ROOT / "spark-submit.sh"), *map(str, arguments)],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)} | (env or {}),
        start_new_session=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def run_job(*arguments: str | Path, env: Mapping[str, str] | None = None) -> str:
    """What a job prints; it must end well."""
    job = submit(*arguments, env=env)
    printed, _ = job.communicate(timeout=600)
    assert job.returncode == 0, printed
    return printed


@contextmanager
def thrift_server(
    yaml: Path, properties: Path, env: Mapping[str, str] | None = None
) -> Iterator[int]:
    """The port of a server of a configuration, that answers."""
    port = free_port()
    server = submit(
        "--properties-file", properties, "jobs/serve.py", "--config", yaml, "--port", port, env=env
    )
    try:
        assert server.stdout is not None
        said = []
        for line in server.stdout:
            said.append(line)
            if "until it is stopped" in line:
                break
        else:
            raise AssertionError("".join(said))
        # Nobody reads it from here on: a full pipe would stop the server.
        subprocess.Popen(["cat"], stdin=server.stdout, stdout=subprocess.DEVNULL)
        yield port
    finally:
        os.killpg(server.pid, signal.SIGTERM)
        server.wait(timeout=60)


def ask(port: int, query: str) -> list[tuple[Any, ...]]:
    """The rows of a query by PyHive, on a connection of its own."""
    with hive.connect("127.0.0.1", port, database="serving") as connection:
        cursor = connection.cursor()
        cursor.execute(query)
        return list(cursor.fetchall())


def beeline(port: int, query: str) -> list[list[str]]:
    """The rows of a query by beeline, as text."""
    done = subprocess.run(
        [str(BEELINE), "-u", f"jdbc:hive2://127.0.0.1:{port}/serving", "-n", "analyst",
         "--silent=true", "--outputformat=tsv2", "--showHeader=false", "-e", query],
        capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    # Its prompt stands before the first row, silent or not.
    lines = [line.rpartition("/serving> ")[2] for line in done.stdout.splitlines()]
    return [line.split("\t") for line in lines if "\t" in line]
