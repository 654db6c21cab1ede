"""`python -m benchmarks.chaos --minutes 30`: something goes wrong every few seconds.

One recording is transcribed again and again, each time from nothing, while workers, the command and
the Prefect server are killed or stopped, kept results damaged and the disk filled. A command that
was killed is started again and has to go on where it was. Every transcript must be the undisturbed
run's, segment by segment. Goes on where it stopped; `--fresh` begins again.
"""

import argparse
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil

from benchmarks.disturbance import OPTIONS
from benchmarks.recordings import RESULTS_FOLDER, recording
from benchmarks.sandbox import Run, Sandbox, Server, same_segments

_DURATION_S = 600.0
_SEED = 4711
_OPTIONS = [*OPTIONS, "--chunk-timeout-minutes", "0.5"]
_EVERY_S = (2.0, 9.0)
_RESULTS_BYTES = 8 << 20
_RUN_WITHIN_S = 900.0
_GONE_WITHIN_S = 5.0
_MOST_UNDISTURBED = 3  # commands for one recording when time ran out

_ENDING = ("command", "Ctrl-C")
_REFUSED = 2
_NO_SERVER = re.compile(r"Prefect server( at \S+)? (does not answer|did not start)")

Disturbance = Callable[[Run], bool]


class Chaos:
    """The disturbances, and what came of them, kept between calls."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.sandbox = Sandbox(folder / "sandbox", _OPTIONS)
        self.server = Server(self.sandbox)
        self.random = random.Random()
        self.state: dict[str, Any] = {"minutes": 0.0, "disturbances": {}, "outcomes": {}}
        with suppress(OSError, json.JSONDecodeError):
            self.state = json.loads((folder / "state.json").read_text())
        self.filler = folder / "sandbox" / "cache" / "results" / "filler"
        self._minutes_before = self.state["minutes"]
        self._began_s: float | None = None

    def count(self, table: str, what: str) -> None:
        """One more of something."""
        counts = self.state[table]
        counts[what] = counts.get(what, 0) + 1

    def save(self) -> None:
        """Keep what was counted."""
        if self._began_s is not None:
            minutes = (time.monotonic() - self._began_s) / 60.0
            self.state["minutes"] = self._minutes_before + minutes
        text = json.dumps(self.state, indent=1)
        (self.folder / "state.json").write_text(text)

    def begin(self) -> None:
        """The minutes count from now on."""
        self._began_s = time.monotonic()

    def disturb(self, run: Run) -> None:
        """One thing goes wrong; which one, chance decides."""
        disturbances: dict[str, Disturbance] = {
            "worker killed (SIGKILL)": lambda run: _signal(run.workers(), signal.SIGKILL),
            "worker crashed (SIGSEGV)": lambda run: _signal(run.workers(), signal.SIGSEGV),
            "worker stopped (SIGSTOP)": lambda run: _signal(run.workers(), signal.SIGSTOP),
            "fork server killed (SIGKILL)": lambda run: _signal(run.fork_servers(), signal.SIGKILL),
            "command killed (SIGKILL)": lambda run: _signal([run.process], signal.SIGKILL),
            "command terminated (SIGTERM)": lambda run: _signal([run.process], signal.SIGTERM),
            "Ctrl-C (SIGINT)": lambda run: _signal([run.process], signal.SIGINT),
            "kept result truncated": self.truncate,
            "Prefect server killed": self.kill_server,
            "disk of the results full": self.fill,
        }
        # A new command takes longer to start than the others to recover.
        weights = [1 if name.startswith(_ENDING) else 3 for name in disturbances]
        name = self.random.choices(list(disturbances), weights)[0]
        if run.is_alive and disturbances[name](run):
            self.count("disturbances", name)

    def truncate(self, _: Run) -> bool:
        """A kept result ends in the middle."""
        results = self.sandbox.results()
        if not results:
            return False
        path = self.random.choice(results)
        os.truncate(path, path.stat().st_size // 2)
        return True

    def kill_server(self, run: Run) -> bool:
        """The server dies and comes back: the embedded one by itself, the other one by us."""
        if run.servers():
            return _signal(run.servers(), signal.SIGKILL)
        self.server.kill()
        time.sleep(self.random.uniform(0.0, 5.0))
        self.server.start()
        return True

    def fill(self, _: Run) -> bool:
        """No room for results for a moment."""
        if not os.path.ismount(self.filler.parent):
            return False
        with suppress(OSError), self.filler.open("wb") as file:
            while True:
                file.write(bytes(1 << 16))
        time.sleep(self.random.uniform(1.0, 5.0))
        self.filler.unlink()
        return True

    def transcribe(self, path: Path, until_s: float) -> None:
        """One recording through all disturbances, and undisturbed to its end when time ran out."""
        embedded = self.random.random() < 0.5
        undisturbed = 0
        while undisturbed < _MOST_UNDISTURBED:
            undisturbed += time.monotonic() > until_s
            run = self.sandbox.start(path, server_url="" if embedded else self.server.url)
            give_up_s = time.monotonic() + _RUN_WITHIN_S
            while run.is_alive and time.monotonic() < give_up_s:
                next_s = time.monotonic() + self.random.uniform(*_EVERY_S)
                while run.is_alive and time.monotonic() < next_s:
                    time.sleep(0.2)
                if time.monotonic() < until_s:
                    self.disturb(run)
            if run.is_alive:
                self.count("outcomes", "HUNG")
                _signal([run.process], signal.SIGKILL)
            code = run.wait(60.0)
            self.count("outcomes", f"command ended with {code}")
            (self.folder / "last.log").write_text("\n".join(said.text for said in run.lines))
            if code == _REFUSED and _NO_SERVER.search(run.lines[-1].text):
                self.count("outcomes", "of those with 2, refused as the server was away")
            elif code not in (0, 3, 130, 143, -signal.SIGKILL, -signal.SIGTERM, -signal.SIGINT):
                name = f"unexpected-{code}-{time.strftime('%H%M%S')}.log"
                shutil.copy(self.folder / "last.log", self.folder / name)
                self.count("outcomes", "UNEXPECTED EXIT CODE")
            self.check_strays()
            self.save()
            if code == 0:
                return
        self.count("outcomes", "NEVER FINISHED")

    def end_strays(self) -> None:
        """Whatever is there still, of a call that was ended as well."""
        for process in self.sandbox.strays():
            with suppress(psutil.NoSuchProcess):
                process.kill()

    def check_strays(self) -> None:
        """Nothing of a run may outlive it for long."""
        _, alive = psutil.wait_procs(self.sandbox.strays(), timeout=_GONE_WITHIN_S)
        for process in alive:
            self.count("outcomes", "STRAY PROCESS")
            with suppress(psutil.NoSuchProcess):
                print(f"stray: {process.pid} {' '.join(process.cmdline())}", flush=True)
                process.kill()


def main() -> None:
    """Disturb for the given minutes, then print the table; exit code 1 when anything was lost."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--fresh", action="store_true", help="forget the disturbances so far")
    parser.add_argument("--folder", type=Path, default=RESULTS_FOLDER / "chaos")
    arguments = parser.parse_args()
    if arguments.fresh:
        shutil.rmtree(arguments.folder, ignore_errors=True)
    arguments.folder.mkdir(parents=True, exist_ok=True)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # through every `finally`
    path = recording(_DURATION_S, _SEED, noise=False).path
    chaos = Chaos(arguments.folder)
    chaos.end_strays()
    try:
        reference = _undisturbed(chaos, path)
        with _small_disk(chaos.filler.parent):
            _repeat(chaos, path, reference, arguments.minutes)
        rows = chaos.sandbox.unfinished_rows(chaos.server.url)
    finally:
        chaos.end_strays()
        chaos.server.kill()
        chaos.save()
    leftovers = chaos.sandbox.leftovers()
    sys.exit(_report(chaos.state, rows, leftovers))


def _undisturbed(chaos: Chaos, path: Path) -> list[dict[str, Any]]:
    kept = chaos.folder / "undisturbed.json"
    if not kept.exists():
        # Twice: kernels just compiled round otherwise than the same ones from numba's cache.
        for _ in range(2):
            run = chaos.sandbox.start(path, "--fresh")
            if run.wait(_RUN_WITHIN_S) != 0:
                raise RuntimeError("\n".join(said.text for said in run.lines))
        kept.write_text(json.dumps(chaos.sandbox.segments(path)))
    rows: list[dict[str, Any]] = json.loads(kept.read_text())
    return rows


def _repeat(chaos: Chaos, path: Path, reference: list[dict[str, Any]], minutes: float) -> None:
    chaos.begin()
    until_s = time.monotonic() + 60.0 * minutes
    while time.monotonic() < until_s:
        chaos.sandbox.forget_results()
        chaos.transcribe(path, until_s)
        same = same_segments(chaos.sandbox.segments(path), reference)
        chaos.count("outcomes", "transcript identical" if same else "TRANSCRIPT DIFFERS")
        chaos.save()
        print(f"{chaos.state['minutes']:.1f} min: {chaos.state['outcomes']}", flush=True)
    # The last run of all tidies up after those that were killed before it.
    if chaos.sandbox.start(path, server_url=chaos.server.url).wait(_RUN_WITHIN_S) != 0:
        chaos.count("outcomes", "LAST RUN FAILED")
    chaos.check_strays()


@contextmanager
def _small_disk(folder: Path) -> Iterator[None]:
    """A small file system for the results, to be filled; only root may mount one."""
    folder.mkdir(parents=True, exist_ok=True)
    while os.path.ismount(folder):  # of a call that was killed
        subprocess.run(["umount", "--lazy", str(folder)], check=True)
    mounted = os.geteuid() == 0 and (
        subprocess.run(
            ["mount", "-t", "tmpfs", "-o", f"size={_RESULTS_BYTES}", "tmpfs", str(folder)],
            stderr=subprocess.DEVNULL,
        ).returncode
        == 0
    )
    try:
        yield
    finally:
        if mounted:
            subprocess.run(["umount", "--lazy", str(folder)], check=False)


def _signal(processes: list[psutil.Process], how: signal.Signals) -> bool:
    if not processes:
        return False
    with suppress(psutil.NoSuchProcess):
        random.choice(processes).send_signal(how)
        return True
    return False


def _report(state: dict[str, Any], rows: int, leftovers: list[Path]) -> int:
    disturbances, outcomes = Counter(state["disturbances"]), Counter(state["outcomes"])
    print(f"\n{state['minutes']:.1f} minutes, {disturbances.total()} disturbances\n")
    print("| what | times |\n|---|---:|")
    for table in (disturbances, outcomes):
        for what, times in sorted(table.items()):
            print(f"| {what} | {times} |")
    print(f"| rows left Running or Pending | {rows} |")
    print(f"| temporary files left | {len(leftovers)} |")
    bad = [what for what in outcomes if what.isupper() or what.startswith("TRANSCRIPT DIFFERS")]
    return 1 if bad or rows or leftovers else 0


if __name__ == "__main__":
    main()
