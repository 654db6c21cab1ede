"""A memory limit that kills one of two workers in mid-recording: it finishes with one.

`python -m benchmarks.memory_limit` (as root, Linux) starts the command with two workers in a
control group of its own, with plenty of memory. When both workers are at a chunk, the group's limit
is lowered to a little more than what is in use, and the kernel kills whoever asks for more. Prints
the lines of the log that tell of it.
"""

import argparse
import errno
import re
import subprocess
import sys
import time
from pathlib import Path

from benchmarks.command import command_line
from benchmarks.recordings import RESULTS_FOLDER, recording

_CGROUPS = Path("/sys/fs/cgroup")
_PLENTY_BYTES = 8 << 30
_MORE_BYTES = 10_000_000  # than is in use
_STEP_BYTES = 5_000_000
_ENDED_WITHIN_S = 30.0
_TELLING = re.compile(r"worker\(s\)|Memory ran out|lost its worker|started again|Gap|Done in")


class MemoryGroup:
    """A control group whose memory is limited; version 1 or 2, whichever the system has."""

    def __init__(self) -> None:
        first = _CGROUPS / "memory"
        self._folder = (first if first.is_dir() else _CGROUPS) / f"longscribe-{time.time_ns()}"
        self._folder.mkdir()
        v1 = first.is_dir()
        self._limit = self._folder / ("memory.limit_in_bytes" if v1 else "memory.max")
        # Without files' pages, which the kernel takes back before it kills anybody.
        self._kinds = ("rss", "shmem") if v1 else ("anon", "shmem")
        self._kills = self._folder / ("memory.oom_control" if v1 else "memory.events")
        self.limit(_PLENTY_BYTES)

    @property
    def members(self) -> Path:
        """The file that takes the pids of its processes."""
        return self._folder / "cgroup.procs"

    def limit(self, limit_bytes: int) -> None:
        """Allow so much from now on."""
        self._limit.write_text(str(limit_bytes))

    def tighten(self) -> int:
        """Allow little more than is in use and cannot be taken back; the new limit."""
        fields = (line.split() for line in (self._folder / "memory.stat").read_text().splitlines())
        in_use = {name: int(held_bytes) for name, held_bytes in fields}
        limit_bytes = sum(in_use.get(kind, 0) for kind in self._kinds) + _MORE_BYTES
        while True:
            try:
                self.limit(limit_bytes)
                return limit_bytes
            except OSError as error:
                # Version 1 refuses a limit that it cannot keep by taking back pages.
                if error.errno != errno.EBUSY:
                    raise
                limit_bytes += _STEP_BYTES

    def kills(self) -> int:
        """Processes that the kernel has killed in it."""
        found = re.search(r"^oom_kill (\d+)$", self._kills.read_text(), re.MULTILINE)
        return int(found[1]) if found else 0

    def remove(self) -> None:
        """Remove it once the last of its processes, the embedded server, has ended."""
        give_up_s = time.monotonic() + _ENDED_WITHIN_S
        while self.members.read_text() and time.monotonic() < give_up_s:
            time.sleep(0.1)
        self._folder.rmdir()


def main() -> None:
    """Run it; exit code 1 unless the kernel killed and the recording was finished."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", default="demo")
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--folder", type=Path, default=RESULTS_FOLDER)
    arguments = parser.parse_args()
    path = recording(60 * arguments.minutes, 4711, noise=False).path
    options = ["--workers", "2", "--chunk-minutes", "1"]
    command = command_line(path, arguments.model, arguments.folder / "memory-limit", options)
    group = MemoryGroup()
    enter = ["sh", "-c", 'echo $$ > "$0" && exec "$@"', str(group.members)]
    try:
        code = _watched([*enter, *command], group)
        kills = group.kills()
    finally:
        group.remove()
    print(f"exit code {code}, {kills} process(es) killed by the kernel")
    sys.exit(0 if code == 0 and kills else 1)


def _watched(command: list[str], group: MemoryGroup) -> int:
    began = 0
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as run:
        assert run.stdout is not None
        for line in run.stdout:
            began += "started: " in line
            if _TELLING.search(line):
                print(line.rstrip(), flush=True)
            if began == 2:
                print(f"limit lowered to {group.tighten() / 1e9:.2f} GB", flush=True)
                began += 1
    return run.returncode


if __name__ == "__main__":
    main()
