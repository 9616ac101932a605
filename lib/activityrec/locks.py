"""One pipeline at a time: a lock of the operating system, or a lease on shared storage."""

import errno
import fcntl
import os
import socket
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from py4j.protocol import Py4JJavaError

from activityrec.errors import StateError
from activityrec.files import Files

CONDITIONAL = "fs.option.create.conditional.overwrite"
"""Option of Hadoop 3.5's createFile: there must be nothing yet, told by the store itself."""
CONDITIONAL_TAG = f"{CONDITIONAL}.etag"
"""The same: the file must have this tag."""
_REFUSALS = {"FileAlreadyExistsException", "RemoteFileChangedException"}
Seen = tuple[str, str]
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
    clock of the one who waits, is taken over. Where the store writes conditionally (S3) the file
    is made only if there is none, and written and taken over only if it is as it was last seen
    (``If-None-Match``, ``If-Match``); elsewhere by an exclusive create and a rename, which HDFS
    and ADLS do atomically.
    """

    def __init__(
        self, files: Files, folder: str,
        beat: float = BEAT_SECONDS, patience: float = PATIENCE_SECONDS,
    ) -> None:  # fmt: skip
        self.files, self.folder, self.path = files, folder, f"{folder}/.lease"
        self.beat, self.patience = beat, patience
        self.name = f"process {os.getpid()} of {socket.gethostname()} ({uuid.uuid4().hex[:8]})"
        self.lost: str | None = None
        self._conditional = False
        self._beats, self._over, self._writing = 0, threading.Event(), threading.Lock()

    def __enter__(self) -> "Lease":
        """
        Raises
        ------
        StateError
            Another process holds it, and is alive; or it is S3 without conditional writes.
        """
        self._conditional = self.files.can(self.path, CONDITIONAL_TAG)
        if self.path.startswith("s3") and not self._conditional:
            raise StateError(
                f"lakehouse {self.folder}: this S3 client cannot write conditionally, so nothing "
                "would keep a second pipeline away: hadoop-aws 3.5 can, with "
                "fs.s3a.create.conditional.enabled=true"
            )
        if not self._create():
            seen = self._seen()
            self._wait_for_a_sign(seen)
            if not self._take_over(seen):
                raise held(self.folder, "another process")
        self._known, self._renewed = self._seen(), time.monotonic()
        if not self._is_mine(self._known):
            raise held(self.folder, _holder(self._known))
        self._thread = threading.Thread(target=self._renew, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()
        if self.lost is None and self._is_mine(self._seen()):
            self.files.delete(self.path)

    def check(self) -> None:
        """
        Raises
        ------
        StateError
            This process was silent for too long, and must not write: the lease is or may soon
            be another's.
        """
        # While this process writes its file, it may be read as empty.
        left = max(0.0, self._renewed + self.patience - time.monotonic())
        is_free = self._writing.acquire(timeout=left)
        try:
            silent = time.monotonic() - self._renewed
            if silent > self.patience or not is_free:
                self.lost = self.lost or f"it was silent for {silent:.0f} seconds"
            elif silent > 2 * self.beat and not self._is_mine(self._seen()):
                self.lost = self.lost or "its file was taken over"
        finally:
            if is_free:
                self._writing.release()
        if self.lost is not None:
            raise StateError(
                f"lakehouse {self.folder}: this process lost its lease ({self.lost}); "
                "another one may be working on it: run again"
            )

    def _wait_for_a_sign(self, seen: Seen) -> None:
        last = time.monotonic() + self.patience
        while time.monotonic() < last:
            self._over.wait(self.beat / 4)
            found = self._seen()
            if found != seen:
                # While the holder writes, its file may be read as empty.
                raise held(self.folder, _holder(seen if seen[0] else found))

    def _renew(self) -> None:
        while self.lost is None and not self._over.wait(self.beat):
            # Storage that does not answer for a while is asked again; check() sees how long.
            with suppress(Exception), self._writing:
                begun = time.monotonic()
                written = self._write_over(self._known)
                self._known = self._seen()
                # What was written may have been told as refused, if the first answer was lost.
                if written or self._is_mine(self._known):
                    self._renewed = begun
                else:
                    self.lost = "its file was taken over"

    def _is_mine(self, seen: Seen) -> bool:
        return seen[0].partition("\n")[0] == self.name

    def _text(self) -> str:
        self._beats += 1
        return f"{self.name}\n{self._beats}\n"

    def _seen(self, path: str | None = None) -> Seen:
        """The text of the file and its tag; empty where there is no file or no tag."""
        path = path or self.path
        if not self.files.exists(path):
            return "", ""
        return self.files.read_text(path), self.files.tag(path) if self._conditional else ""

    def _create(self) -> bool:
        return _done(lambda: self.files.create_new(self.path, self._text(), CONDITIONAL))

    def _write_over(self, known: Seen) -> bool:
        if self._conditional:
            text, tag = self._text(), known[1]
            return _done(lambda: self.files.create_new(self.path, text, CONDITIONAL_TAG, tag))
        if self._seen() != known:
            return False
        self.files.write_text(self.path, self._text())
        return True

    def _take_over(self, seen: Seen) -> bool:
        if self._conditional:
            return self._write_over(seen)
        aside = f"{self.path}.{uuid.uuid4().hex}"
        try:
            self.files.rename(self.path, aside)
        except (FileExistsError, Py4JJavaError):
            return False
        if self._seen(aside) != seen:
            # Another was faster, and it is theirs.
            self.files.rename(aside, self.path)
            return False
        self.files.delete(aside)
        return self._create()


def _holder(seen: Seen) -> str:
    return seen[0].partition("\n")[0] or "another process"


def _done(create: Callable[[], None]) -> bool:
    """Whether a file could be made: False where the store says that it is not as it should be."""
    try:
        create()
    except Py4JJavaError as error:
        cause = error.java_exception
        while cause is not None:
            if cause.getClass().getSimpleName() in _REFUSALS:
                return False
            cause = cause.getCause()
        raise
    return True
