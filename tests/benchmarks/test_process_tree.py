import os
import sys
from pathlib import Path

from benchmarks.process_tree import Memory, memory_of, watch

# A child that holds 200 MB and computes for half a second, and a parent that waits for it.
CHILD = (
    "import time; kept = b'x' * 200_000_000; end = time.time() + 1.2\nwhile time.time() < end: pass"
)
PARENT = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {CHILD!r}]); print('done')"

POOL = """
import multiprocessing, time

def hold(number):
    kept = b"x" * 50_000_000
    time.sleep(1.0)
    return len(kept)

if __name__ == "__main__":
    kept = b"x" * 200_000_000
    with multiprocessing.get_context("forkserver").Pool(2) as pool:
        pool.map(hold, range(2), chunksize=1)
"""


def test_descendants_count(tmp_path: Path) -> None:
    watched = watch([sys.executable, "-c", PARENT], tmp_path / "log")
    assert (watched.exit_code, (tmp_path / "log").read_text()) == (0, "done\n")
    assert watched.wall_s > 1.2
    assert 0.3 < watched.cpu_s < watched.wall_s + 1
    assert 200e6 < watched.peak_pss_bytes < 400e6
    assert watched.workers == (0, 0, 0)
    assert [line.text for line in watched.lines] == ["done\n"]
    assert 1.2 < watched.lines[0].after_s <= watched.wall_s


def test_workers_of_a_pool_are_told_apart(tmp_path: Path) -> None:
    script = tmp_path / "pool.py"
    script.write_text(POOL)
    watched = watch([sys.executable, str(script)], tmp_path / "log", memory_every_s=0.1)
    assert watched.exit_code == 0
    assert watched.workers.processes == 2
    # Each holds 50 MB of its own; the parent's 200 MB are not theirs.
    assert 100e6 < watched.workers.peak_private_bytes <= watched.workers.peak_pss_bytes < 180e6
    assert watched.peak_pss_bytes > watched.workers.peak_pss_bytes + 200e6


def test_memory_of_a_process() -> None:
    memory = memory_of(os.getpid())
    assert memory.pss_bytes >= memory.private_bytes > 1e6
    assert memory_of(2**22 + 1) == Memory(0, 0)
