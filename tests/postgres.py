"""A real PostgreSQL for tests, on loopback."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.ports import free_port

Sql = Callable[[str], None]


def postgres_folder() -> Path | None:
    """Where Debian or the PATH has PostgreSQL's programs."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    on_path = shutil.which("initdb")
    if on_path:
        found.append(Path(on_path).resolve())
    return found[-1].parent if found else None


@contextmanager
def postgres_server() -> Iterator[tuple[str, Sql]]:
    """The JDBC address of a server of its own, and what runs SQL on it."""
    programs = postgres_folder()
    if programs is None:
        assert not os.environ.get("CI"), "CI must have PostgreSQL"
        pytest.skip("no PostgreSQL here: install Debian's package postgresql")
    # It does not run as root, and pytest's own folders are for their user alone.
    as_user = ["runuser", "-u", "postgres", "--"] if os.getuid() == 0 else []
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        if as_user:
            shutil.chown(folder, "postgres")
        with _running(programs, folder, as_user) as server:
            yield server


@contextmanager
def _running(programs: Path, folder: str, as_user: list[str]) -> Iterator[tuple[str, Sql]]:
    port = free_port()

    def call(*command: str) -> None:
        done = subprocess.run([*as_user, *command], cwd=folder, capture_output=True, text=True)
        assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"

    data = f"{folder}/data"
    call(str(programs / "initdb"), "-D", data, "-U", "shop", "--auth=trust", "--no-sync")
    options = f"-p {port} -c listen_addresses=127.0.0.1 -c fsync=off -k {folder}"
    start = [str(programs / "pg_ctl"), "-D", data, "-w", "-l", f"{folder}/log", "-o", options]
    call(*start, "start")

    def sql(text: str) -> None:
        call(
            str(programs / "psql"),
            *["-h", "127.0.0.1", "-p", str(port), "-U", "shop", "-d", "postgres"],
            *["-v", "ON_ERROR_STOP=1", "-qc", text],
        )

    try:
        yield f"jdbc:postgresql://127.0.0.1:{port}/postgres?user=shop", sql
    finally:
        call(str(programs / "pg_ctl"), "-D", data, "-m", "immediate", "stop")
