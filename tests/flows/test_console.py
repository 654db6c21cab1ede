import logging
import sys

import pytest
from rich.console import Console as RichConsole

from flows.console import Console


def record(message: str, level: int = logging.INFO, path: str = __file__, **extra: object):
    made = logging.LogRecord("prefect.flow_runs", level, path, 1, message, (), None)
    made.__dict__.update(extra)
    return made


def test_progress_on_stdout_errors_on_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    console = Console()
    console.emit(record("Loading model demo"))
    console.emit(record("Gap 0:01", logging.WARNING))
    console.emit(record("Chunk 1 of 2 failed", logging.ERROR))
    out, err = capsys.readouterr()
    assert [line[9:] for line in out.splitlines()] == ["Loading model demo", "Gap 0:01"]
    assert [line[9:] for line in err.splitlines()] == ["Chunk 1 of 2 failed"]


def test_prefect_s_own_lines_are_left_to_the_ui(capsys: pytest.CaptureFixture[str]) -> None:
    import prefect.flow_engine

    path = prefect.flow_engine.__file__
    Console().emit(record("Finished in state Completed()", path=path))
    assert capsys.readouterr() == ("", "")


def test_a_terminal_gets_a_bar_that_goes_away(capsys: pytest.CaptureFixture[str]) -> None:
    console = Console()
    console._out = RichConsole(file=sys.stdout, force_terminal=True, width=100)
    console.emit(record("Started", progress_percent=0.0, progress_left_s=None))
    assert console._bar is not None
    console.emit(record("Finished chunk 1", progress_percent=40.0, progress_left_s=75.0))
    console._bar.refresh()
    shown = capsys.readouterr().out
    assert "40 %" in shown
    assert "about 0:01:15 left" in shown
    console.emit(record("Finished chunk 2", progress_percent=100.0, progress_left_s=0.0))
    assert console._bar is None
    console.close()
