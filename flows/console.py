"""What a person at a terminal, or a log file, sees of a run."""

import logging
import multiprocessing
import sys
from pathlib import Path
from typing import Any

import prefect
from rich.console import Console as RichConsole
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from longscribe.transcript import format_time

_PREFECT_FOLDER = str(Path(prefect.__file__).parent)


class Console(logging.Handler):
    """Our own lines on stdout and errors on stderr; a live bar below them on a terminal.

    Prefect's engine logs on the same loggers ("Finished in state ..."): those lines are for the UI,
    where the state is theirs to tell; here they would say twice what the flow and the command say.
    """

    def __init__(self) -> None:
        super().__init__()
        self._out = RichConsole(file=sys.stdout, highlight=False, soft_wrap=True, markup=False)
        self._bar: Progress | None = None
        self._task: TaskID | None = None
        self.setFormatter(logging.Formatter("%(asctime)s %(message)s", datefmt="%H:%M:%S"))

    def emit(self, record: logging.LogRecord) -> None:
        """Print one record, unless this is a worker process: the parent prints for its workers."""
        if multiprocessing.parent_process() is not None:
            return
        if record.pathname.startswith(_PREFECT_FOLDER) and record.levelno < logging.CRITICAL:
            return
        try:
            line = self.format(record)
            if record.levelno >= logging.ERROR:
                print(line, file=sys.stderr, flush=True)
            elif self._out.is_terminal:
                self._out.print(line, style=_style(record))
            else:
                print(line, flush=True)
            if self._out.is_terminal:
                self._show_progress(record)
        except Exception:  # a logging handler reports its own failure and never raises
            self.handleError(record)

    def close(self) -> None:
        """Take the bar away."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = None
        super().close()

    def _show_progress(self, record: logging.LogRecord) -> None:
        percent: Any = getattr(record, "progress_percent", None)
        if percent is None:
            return
        if self._bar is None:
            self._bar = Progress(
                BarColumn(bar_width=40),
                TextColumn("{task.percentage:3.0f} %"),
                TimeElapsedColumn(),
                TextColumn("{task.fields[left]}"),
                console=self._out,
                transient=True,
            )
            self._task = self._bar.add_task("recording", total=100.0, left="")
            self._bar.start()
        left_s: Any = getattr(record, "progress_left_s", None)
        left = "" if left_s is None else f"about {format_time(left_s)} left"
        assert self._task is not None
        self._bar.update(self._task, completed=percent, left=left)
        if percent >= 100.0:
            self._bar.stop()
            self._bar = None


def _style(record: logging.LogRecord) -> str:
    return "yellow" if record.levelno >= logging.WARNING else ""
