import os
import sys
from pathlib import Path

from benchmarks.process_tree import pss_bytes, watch

# A child that holds 200 MB and computes for half a second, and a parent that waits for it.
CHILD = (
    "import time; kept = b'x' * 200_000_000; end = time.time() + 1.2\nwhile time.time() < end: pass"
)
PARENT = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {CHILD!r}]); print('done')"


def test_descendants_count(tmp_path: Path) -> None:
    watched = watch([sys.executable, "-c", PARENT], tmp_path / "log")
    assert (watched.exit_code, (tmp_path / "log").read_text()) == (0, "done\n")
    assert watched.wall_s > 1.2
    assert 0.3 < watched.cpu_s < watched.wall_s + 1
    assert 200e6 < watched.peak_pss_bytes < 400e6


def test_memory_of_a_process() -> None:
    assert pss_bytes(os.getpid()) > 1e6
    assert pss_bytes(2**22 + 1) == 0
