"""What a person at a terminal, or a log file, sees of a run."""

import logging
import multiprocessing
import sys
from pathlib import Path

import prefect
from rich.console import Console as RichConsole

from longscribe.flows.live_view import LiveView
from longscribe.flows.output import say
from longscribe.monitoring.events import LIVE_LOGGER

_PREFECT_FOLDER = str(Path(prefect.__file__).parent)


class Console(logging.Handler):
    """Our own lines on stdout and errors on stderr; a live view below them on a terminal.

    Prefect's engine logs on the same loggers ("Finished in state ..."): those lines are for the UI,
    where the state is theirs to tell; here they would say twice what the flow and the command say.
    """

    def __init__(self) -> None:
        super().__init__()
        self._out = RichConsole(file=sys.stdout, highlight=False, soft_wrap=True, markup=False)
        self._view = LiveView(self._out) if self._out.is_terminal else None
        self.setFormatter(logging.Formatter("%(asctime)s %(message)s", datefmt="%H:%M:%S"))

    def emit(self, record: logging.LogRecord) -> None:
        """Print one record, unless this is a worker process: the parent prints for its workers."""
        if multiprocessing.parent_process() is not None:
            return
        if record.pathname.startswith(_PREFECT_FOLDER) and record.levelno < logging.CRITICAL:
            return
        try:
            if record.name == LIVE_LOGGER:
                if self._view is not None:
                    self._view.take(record.live)  # type: ignore[attr-defined]  # its `extra`
                return
            line = self.format(record)
            on_one_terminal = self._view is not None and sys.stderr.isatty()
            if record.levelno >= logging.ERROR and not on_one_terminal:
                say(line, error=True)
            elif self._out.is_terminal:
                self._out.print(line, style=_style(record))
            else:
                say(line)
        except Exception:  # a logging handler reports its own failure and never raises
            self.handleError(record)

    def close(self) -> None:
        """Take the view away."""
        if self._view is not None:
            self._view.close()
        super().close()


def _style(record: logging.LogRecord) -> str:
    if record.levelno >= logging.ERROR:
        return "red"
    return "yellow" if record.levelno >= logging.WARNING else ""
