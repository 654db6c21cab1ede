import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from longscribe.cache.atomic_file import (
    open_temporary,
    remove_abandoned_files,
    replace_file,
    temporary_path,
)

WRITER = """
import sys, time
from pathlib import Path
from longscribe.cache.atomic_file import open_temporary
file = open_temporary(Path(sys.argv[1]))
print("open", flush=True)
time.sleep(60)
"""


def test_a_killed_writer_s_file_goes_and_one_at_work_stays(tmp_path: Path) -> None:
    target = tmp_path / "a.txt"
    with subprocess.Popen(
        [sys.executable, "-c", WRITER, str(target)],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])},
    ) as writer:
        assert writer.stdout is not None
        assert writer.stdout.readline() == b"open\n"
        with open_temporary(tmp_path / "b.txt"):
            assert remove_abandoned_files(tmp_path) == 0
        temporary_path(tmp_path / "b.txt").unlink()
        writer.send_signal(signal.SIGKILL)
        writer.wait()
    assert remove_abandoned_files(tmp_path) == 1
    assert not list(tmp_path.iterdir())


def test_a_file_is_replaced_whole_or_not_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "a.json"
    replace_file(target, b"one")
    replace_file(target, b"two")
    assert target.read_bytes() == b"two"

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        replace_file(target, b"three")
    assert target.read_bytes() == b"two"
    assert [path.name for path in tmp_path.iterdir()] == ["a.json"]
