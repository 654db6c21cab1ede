import io
import logging
import sys
from types import SimpleNamespace

import pytest
from rich.console import Console as RichConsole

from longscribe.flows.console import Console
from longscribe.flows.live_view import LiveView
from longscribe.monitoring.events import (
    LIVE_LOGGER,
    Live,
    RunBegan,
    RunOver,
    RunStatus,
    StageBegan,
    StageOver,
    WorkerStatus,
)

STATUS = RunStatus(
    percent=40.4,
    done=2,
    total=7,
    elapsed_s=31.0,
    left_s=75.0,
    x_real_time=120.5,
    cpu_percent=190.0,
    memory_bytes=1_710_000_000,
    workers=(
        WorkerStatus(4711, "3 of 7", "0:20:00-0:30:00", 12.0, 0.5, 61.2, 98.0, 670_000_000),
        WorkerStatus(4712),
    ),
)


def record(message: str, level: int = logging.INFO, path: str = __file__, **extra: object):
    made = logging.LogRecord("prefect.flow_runs", level, path, 1, message, (), None)
    made.__dict__.update(extra)
    return made


def live(what: Live) -> logging.LogRecord:
    return record("", logging.DEBUG, live=what, name=LIVE_LOGGER)


def shown(view: LiveView, width: int = 118) -> str:
    console = RichConsole(file=io.StringIO(), force_terminal=False, width=width, height=40)
    console.print(view.picture())
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def view(width: int = 118) -> LiveView:
    made = LiveView(RichConsole(file=io.StringIO(), force_terminal=True, width=width))
    for what in (RunBegan("Town [bold]hall"), StageBegan("split"), StageOver("split")):
        made.take(what)
    made.take(StageBegan("transcribe"))
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


def test_a_file_gets_plain_lines_and_no_view(capsys: pytest.CaptureFixture[str]) -> None:
    console = Console()
    for what in (RunBegan("talk"), StageBegan("split"), STATUS, RunOver()):
        console.emit(live(what))
    console.emit(record("Done"))
    out, err = capsys.readouterr()
    assert [line[9:] for line in out.splitlines()] == ["Done"]
    assert err == ""
    assert "\x1b" not in out


def test_the_view_has_stages_the_recording_and_each_worker(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(
        "longscribe.flows.live_view.time", SimpleNamespace(monotonic=lambda: 1000.0)
    )
    made = view()
    before = shown(made)
    assert "Town [bold]hall" in before  # markup in a name has no effect
    assert "✓ split" in before
    assert "● transcribe" in before
    assert "· write" in before
    made.take(STATUS)
    now = shown(made)
    made.close()
    for words in ("40 %", "2 of 7 chunks", "120.5 x real time", "1.9 cores busy", "1.71 GB"):
        assert words in now
    assert "about 0:01:15 left" in now
    [busy] = [line for line in now.splitlines() if "4711" in line]
    for words in ("3 of 7", "0:20:00-0:30:00", "0:00:12", "61.2", "98 %", "0.67 GB"):
        assert words in busy
    [idle] = [line for line in now.splitlines() if "4712" in line]
    assert "idle" in idle


@pytest.mark.parametrize("width", [60, 80])
def test_the_view_fits_a_narrow_terminal(width: int) -> None:
    made = view(width)
    made.take(STATUS)
    lines = shown(made, width).splitlines()
    made.close()
    assert max(map(len, lines)) <= width
    assert len(lines) <= 10
    assert any("3 of 7" in line for line in lines)


def test_lines_scroll_above_a_view_that_goes_away(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    console = Console()
    console._out = RichConsole(
        file=sys.stdout,
        force_terminal=True,
        width=100,
        highlight=False,
        _environ={"TERM": "xterm-256color"},
    )
    console._view = LiveView(console._out)
    for what in (RunBegan("talk"), StageBegan("transcribe"), STATUS):
        console.emit(live(what))
    console.emit(record("Finished chunk 1 of 7"))
    during = capsys.readouterr().out
    assert during.index("Finished chunk 1 of 7") < during.rindex("talk")
    # stderr is a file here: an error goes there, and not to the terminal.
    console.emit(record("Chunk 2 of 7 failed", logging.ERROR))
    assert "Chunk 2 of 7 failed" in capsys.readouterr().err
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    console.emit(record("Chunk 3 of 7 failed", logging.ERROR))
    assert "Chunk 3 of 7 failed" in capsys.readouterr().out
    console.emit(live(RunOver()))
    assert console._view._live is None
    console.close()
