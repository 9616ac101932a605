"""The memory that a process and all that descend from it have, from /proc (Linux)."""

import subprocess
import threading
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def resident(process: int) -> float:
    """MB that are resident now. Pages that processes share count for each of them; but a fork is
    left out as long as its address space is as large as its parent's, whose pages it has: a JVM
    that starts a program is there twice for a moment."""
    sizes, children = {}, defaultdict(list)
    for status in Path("/proc").glob("[0-9]*/status"):
        try:
            lines = dict(line.split(":", 1) for line in status.read_text().splitlines())
        except OSError:
            continue
        number, virtual = int(lines["Pid"]), lines.get("VmSize")
        sizes[number] = virtual, int(lines.get("VmRSS", "0").split()[0]) / 1024
        children[int(lines["PPid"])].append(number)
    found, left = 0.0, [(process, None)]
    while left:
        one, above = left.pop()
        virtual, mine = sizes.get(one, (None, 0.0))
        found += 0.0 if virtual == above else mine
        left += [(child, virtual) for child in children[one]]
    return found


class Peak:
    """The most that was resident during a block, looked at four times a second."""

    def __init__(self, process: int) -> None:
        self.process = process

    def __enter__(self) -> "Peak":
        self.most, self._ended = resident(self.process), threading.Event()
        self._thread = threading.Thread(target=self._look)
        self._thread.start()
        return self

    def _look(self) -> None:
        while not self._ended.wait(0.25):
            self.most = max(self.most, resident(self.process))

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()


def watched(
    command: Sequence[str], log: Path, env: Mapping[str, str] | None = None
) -> tuple[int, str, float]:
    """Run a command: its status, what it printed, and its peak in MB.

    Its errors go to ``log``, and once it has ended what it printed: spark-submit prints what the
    job says, errors as well.
    """
    with log.open("w") as errors:
        process = subprocess.Popen(
            command, cwd=ROOT, stdout=subprocess.PIPE, stderr=errors, text=True, env=env
        )
        with Peak(process.pid) as peak:
            out, _ = process.communicate()
        errors.write(out)
    return process.returncode, out, peak.most
