"""A terminal for the picture of one: flows/logging.yml names it in place of the console."""

import io
import logging
import os
from pathlib import Path
from typing import Final

from rich.console import Console as RichConsole
from rich.text import Text

from longscribe.flows.console import Console
from longscribe.flows.live_view import LiveView
from longscribe.monitoring.events import LIVE_LOGGER, RunStatus

PICTURE_VARIABLE: Final = "LONGSCRIBE_TERMINAL_PICTURE"  # the SVG to write
TITLE_VARIABLE: Final = "LONGSCRIBE_TERMINAL_TITLE"

_WIDTH: Final = 118
_LINES: Final = 24  # of the log
_DONE: Final = 4  # finished chunks, at least
_WELL_UNDER_WAY: Final = (0.25, 0.9)  # of their chunks, both workers


class Photographer(Console):
    """Keeps what a terminal would show, and writes one picture of it in the midst of the run."""

    def __init__(self) -> None:
        super().__init__()
        # The view has a console of its own: its redrawing is none of the log's lines.
        self._out = _terminal()
        self._view = LiveView(_terminal())
        self._taken = False

    def emit(self, record: logging.LogRecord) -> None:
        """Show a record as on a terminal; take the picture when it is worth it."""
        super().emit(record)
        if record.name == LIVE_LOGGER:
            self._look(getattr(record, "live", None))

    def _look(self, fact: object) -> None:
        if self._taken or not isinstance(fact, RunStatus) or fact.done < _DONE:
            return
        low, high = _WELL_UNDER_WAY
        if any(worker.fraction is None for worker in fact.workers) or len(fact.workers) < 2:
            return
        if all(low <= (worker.fraction or 0.0) <= high for worker in fact.workers):
            self._taken = True
            self._write(Path(os.environ[PICTURE_VARIABLE]))

    def _write(self, path: Path) -> None:
        assert isinstance(self._out.file, io.StringIO)
        assert self._view is not None
        rows = [
            row
            for line in self._out.file.getvalue().splitlines()
            # A terminal breaks lines anywhere, rich between words.
            for row in _rows(Text.from_ansi(line))
        ]
        picture = _terminal(record=True)
        for row in rows[-_LINES:]:
            picture.print(row, no_wrap=True, crop=True)
        picture.print(self._view.picture())
        draft = path.with_suffix(".part")
        draft.write_text(picture.export_svg(title=os.environ[TITLE_VARIABLE]), encoding="utf-8")
        draft.replace(path)


def _terminal(record: bool = False) -> RichConsole:
    return RichConsole(
        file=io.StringIO(),
        force_terminal=True,
        color_system="truecolor",
        width=_WIDTH,
        highlight=False,
        soft_wrap=not record,
        markup=False,
        record=record,
    )


def _rows(line: Text) -> list[Text]:
    return list(line.divide(range(_WIDTH, len(line.plain), _WIDTH)))
