"""Neither the fork server nor a worker that is just being started outlives a run that is killed."""

import os
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

SLOW = """
import time
print("importing", flush=True)
time.sleep(600)
"""

SCRIPT = """
import time
from longscribe.runtime.fork_server import start_fork_server
from longscribe.tasks.preload import PRELOAD

start_fork_server(PRELOAD)
time.sleep(600)
"""

CHILD = """
from longscribe.runtime.lifetime import end_with_parent
end_with_parent({parent_pid})
print("lives", flush=True)
"""


def environment(*folders: Path) -> dict[str, str]:
    project = Path(__file__).resolve().parents[3]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, (*folders, project)))}


@pytest.mark.parametrize("stopped", [False, True])
def test_a_fork_server_in_its_imports_does_not_outlive_the_run(
    tmp_path: Path, stopped: bool
) -> None:
    (tmp_path / "threadpoolctl.py").write_text(SLOW)  # one of the modules that it imports
    with subprocess.Popen(
        [sys.executable, "-c", SCRIPT],
        env=environment(tmp_path),
        stdout=subprocess.PIPE,
        text=True,
    ) as run:
        assert run.stdout is not None
        assert run.stdout.readline() == "importing\n"
        children = psutil.Process(run.pid).children()
        (server,) = [one for one in children if "forkserver" in " ".join(one.cmdline())]
        if stopped:
            server.suspend()
        run.kill()
        _, alive = psutil.wait_procs(children, timeout=60)
        for process in alive:
            process.kill()
    assert not alive


@pytest.mark.parametrize(("offset", "said"), [(0, "lives\n"), (1, "")])
def test_whose_parent_is_gone_already_ends(offset: int, said: str) -> None:
    ran = subprocess.run(
        [sys.executable, "-c", CHILD.format(parent_pid=os.getpid() + offset)],
        env=environment(),
        capture_output=True,
        text=True,
        timeout=200,
    )
    assert ran.stdout == said


INHERITED = """
import os, threading, time
from longscribe.runtime.fork_server import fork_server_pid, start_fork_server

changed, over = [], threading.Event()

def look():
    while not over.is_set():
        try:
            changed.extend(name for name, _ in os.environ.items() if name == "OMP_NUM_THREADS")
        except (KeyError, RuntimeError) as error:
            changed.append(repr(error))

threading.Thread(target=look).start()
start_fork_server([])
over.set()
given, give_up_s = [], time.monotonic() + 30
while "PYTHONSAFEPATH=1" not in given and time.monotonic() < give_up_s:  # until it is executed
    given = open(f"/proc/{fork_server_pid()}/environ").read().split(chr(0))
print(changed[:3], *(f"{name}=1" in given for name in ("OMP_NUM_THREADS", "PYTHONSAFEPATH")))
"""


def test_what_it_inherits_is_not_seen_in_this_process(tmp_path: Path) -> None:
    """A thread that walks through os.environ meanwhile would fail: Prefect's settings did."""
    script = tmp_path / "inherited.py"
    script.write_text(INHERITED)
    clean = {name: value for name, value in environment().items() if name != "OMP_NUM_THREADS"}
    done = subprocess.run(
        [sys.executable, str(script)], env=clean, capture_output=True, text=True, timeout=60
    )
    assert done.stdout == "[] True True\n", done.stderr
