"""Lines for whoever reads the command's stdout or stderr; the work goes on when nobody does."""

import os
import sys
from contextlib import suppress
from typing import TextIO


def say(line: str, *, error: bool = False) -> None:
    """Print a line at once, on stdout or as an error on stderr.

    A reader that has gone (`longscribe ... | head`) neither ends the run nor fills stderr with
    failures to write: what would come after is thrown away. A line that does not go out for another
    reason, such as the full disk of a log file, is kept by Python and tried again with the next.
    """
    stream = sys.stderr if error else sys.stdout
    try:
        print(line, file=stream, flush=True)
    except BrokenPipeError:
        _throw_away(stream)
    except OSError:
        pass


def _throw_away(stream: TextIO) -> None:
    """Let a stream, with what it still holds, run into nothing: Python flushes it again at exit.

    https://docs.python.org/3/library/signal.html#note-on-sigpipe
    """
    with suppress(OSError):
        nothing = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nothing, stream.fileno())
        os.close(nothing)
