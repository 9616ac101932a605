"""One pipeline at a time: a lock of the operating system, or a lease on shared storage."""

import errno
import fcntl
import os
import socket
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from py4j.protocol import Py4JJavaError

from activityrec.errors import StateError
from activityrec.files import Files

CONDITIONAL = "fs.option.create.conditional.overwrite"
"""Option of Hadoop 3.5's createFile: there must be nothing yet, told by the store itself."""
BEAT_SECONDS = 20.0
PATIENCE_SECONDS = 120.0


@contextmanager
def disk_lock(folder: str) -> Iterator[None]:
    """The operating system frees it when the process ends, however it ends.

    Raises
    ------
    StateError
        Another process holds it.
    """
    Path(folder).mkdir(parents=True, exist_ok=True)
    with open(Path(folder) / ".lock", "a+", encoding="ascii") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno not in (errno.EACCES, errno.EAGAIN):
                raise
            file.seek(0)
            raise held(folder, f"process {file.read().strip()}") from None
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield


def held(place: str, holder: str) -> StateError:
    return StateError(f"lakehouse {place}: {holder} is working on it; wait until it has ended")


class Lease:
    """A file that its holder writes anew every ``beat`` seconds; who stops doing so loses it.

    No two clocks are compared: a file that does not change for ``patience`` seconds, by the
    clock of the one who waits, is taken over. On S3 the file is made only if there is none, and
    written and taken over only if it is as it was last seen (``If-None-Match``, ``If-Match``);
    elsewhere by an exclusive create and a rename, which HDFS and ADLS do atomically.
    """

    def __init__(
        self, files: Files, folder: str,
        beat: float = BEAT_SECONDS, patience: float = PATIENCE_SECONDS,
    ) -> None:  # fmt: skip
        self.files, self.folder, self.path = files, folder, f"{folder}/.lease"
        self.beat, self.patience = beat, patience
        self.name = f"process {os.getpid()} of {socket.gethostname()} ({uuid.uuid4().hex[:8]})"
        self.lost: str | None = None
        self._beats, self._over = 0, threading.Event()

    def __enter__(self) -> "Lease":
        """
        Raises
        ------
        StateError
            Another process holds it, and is alive.
        """
        if not self._create():
            seen = self._seen()
            self._wait_for_a_sign(seen)
            if not self._take_over(seen):
                raise held(self.folder, "another process")
        self._known = self._seen()
        self._thread = threading.Thread(target=self._renew, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()
        if self.lost is None:
            self.files.delete(self.path)

    def check(self) -> None:
        """
        Raises
        ------
        StateError
            The lease is another's: this process was silent for too long, and must not write.
        """
        if self.lost is not None:
            raise StateError(
                f"lakehouse {self.folder}: this process lost its lease ({self.lost}); "
                "another one may be working on it: run again"
            )

    def _wait_for_a_sign(self, seen: tuple[str, str]) -> None:
        last = time.monotonic() + self.patience
        while time.monotonic() < last:
            self._over.wait(self.beat / 4)
            if self._seen() != seen:
                raise held(self.folder, seen[0].partition("\n")[0] or "another process")

    def _renew(self) -> None:
        while not self._over.wait(self.beat):
            try:
                if not self._write_over(self._known):
                    self.lost = "its file was taken over"
                    return
                self._known = self._seen()
            except Exception as error:
                # Storage that does not answer for a while takes it away only if another comes.
                if self._foreign():
                    self.lost = type(error).__name__
                    return

    def _foreign(self) -> bool:
        try:
            return self._seen()[0].partition("\n")[0] != self.name
        except Exception:
            return False

    def _text(self) -> str:
        self._beats += 1
        return f"{self.name}\n{self._beats}\n"

    def _seen(self) -> tuple[str, str]:
        """The text of the file and its tag; empty where there is no file or no tag."""
        if not self.files.exists(self.path):
            return "", ""
        return self.files.read_text(self.path), self.files.tag(self.path)

    def _create(self) -> bool:
        return _done(lambda: self.files.create_new(self.path, self._text(), CONDITIONAL))

    def _write_over(self, known: tuple[str, str]) -> bool:
        if known[1]:
            tagged = f"{CONDITIONAL}.etag"
            return _done(lambda: self.files.create_new(self.path, self._text(), tagged, known[1]))
        if self._seen() != known:
            return False
        self.files.write_text(self.path, self._text())
        return True

    def _take_over(self, seen: tuple[str, str]) -> bool:
        if seen[1]:
            return self._write_over(seen)
        aside = f"{self.path}.{uuid.uuid4().hex}"
        try:
            self.files.rename(self.path, aside)
        except (FileExistsError, Py4JJavaError):
            return False
        self.files.delete(aside)
        return self._create()


def _done(create: Any) -> bool:
    """Whether a file could be made: False where the store says that it is not as it should be."""
    try:
        create()
    except Py4JJavaError as error:
        if "exist" in str(error) or "Precondition" in str(error) or "412" in str(error):
            return False
        raise
    return True
