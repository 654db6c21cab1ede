"""How many rows a run has on the server: one for each chunk and stage, or one for the recording.

For those who run hundreds of thousands of recordings, LONGSCRIBE_ROWS=recording keeps the server's
work and its database small: no task runs, no artifacts while the run lasts. Retries, kept results
and lines of the log are the same, all under the flow run.
"""

import os
from collections.abc import Mapping
from typing import Final, Literal

from longscribe.errors import OptionError
from longscribe.wording.catalog import translated

ROWS_VARIABLE: Final = "LONGSCRIBE_ROWS"

Rows = Literal["chunk", "recording"]


def rows_of_runs(environment: Mapping[str, str] = os.environ) -> Rows:
    """What the server has a row for.

    Raises:
        OptionError: the variable has no meaning.
    """
    chosen = environment.get(ROWS_VARIABLE, "").strip() or "chunk"
    if chosen == "chunk":
        return "chunk"
    if chosen == "recording":
        return "recording"
    raise OptionError(
        translated("{variable}: {chosen!r} has no meaning; write chunk or recording.").format(
            variable=ROWS_VARIABLE, chosen=chosen
        )
    )
