import os
import signal
import subprocess
import sys
from contextlib import nullcontext, suppress
from pathlib import Path

import pytest

from longscribe.errors import OutputError
from longscribe.runtime.scratch import dead_runs, keeping_names, scratch

RUN = """
import time
from longscribe.runtime.scratch import scratch
with scratch("run-7") as folder:
    (folder / "samples.pcm").write_bytes(bytes(100))
    (folder / "at-work").mkdir()
    print(folder, flush=True)
    time.sleep(60)
"""


def test_a_run_s_folder_is_gone_with_it(tmp_path: Path) -> None:
    with scratch("run-1") as folder:
        assert folder.parent == tmp_path
        with dead_runs() as names:
            assert names == []
        assert folder.is_dir()
    assert not list(tmp_path.glob("*longscribe*"))


def test_only_a_killed_run_is_dead_and_its_name_is_kept_until_it_was_dealt_with(
    tmp_path: Path,
) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", RUN],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])},
    ) as run:
        assert run.stdout is not None
        folder = Path(run.stdout.readline().strip())
        with dead_runs() as names:
            assert names == []
        assert (folder / "samples.pcm").exists()
        run.send_signal(signal.SIGKILL)
        run.wait()
    with suppress(ConnectionError), dead_runs() as names:
        raise ConnectionError
    assert [path.name for path in folder.iterdir()] == ["owner"]
    with dead_runs() as names:
        assert names == ["run-7"]
    assert not folder.exists()


@pytest.mark.parametrize("error", [None, ConnectionError, KeyboardInterrupt])
def test_a_name_is_kept_until_the_end_of_the_run_is_known(
    tmp_path: Path, error: type[BaseException] | None
) -> None:
    expected = pytest.raises(error) if error else nullcontext()
    with expected, keeping_names(unreported=(ConnectionError,)):
        with scratch("run-1") as folder:
            (folder / "samples.pcm").write_bytes(bytes(100))
        assert [path.name for path in folder.iterdir()] == ["owner"]
        with dead_runs() as names:
            assert names == []  # it lasts: its end is being reported
        if error:
            raise error
    with dead_runs() as names:
        assert names == (["run-1"] if error is ConnectionError else [])
    assert not list(tmp_path.glob("*longscribe*"))


def test_no_folder_to_be_had(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path / "missing"))
    with pytest.raises(OutputError, match="set TMPDIR"), scratch("run-1"):
        pass
