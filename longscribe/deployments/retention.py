"""How long the server keeps runs: by LONGSCRIBE_KEEP_RUNS_DAYS, with Prefect's own vacuum.

By itself it removes old events alone (prefect/server/services/db_vacuum.py). With a run go its
logs, task runs and artifacts, texts that are stored on the server among them; files stay.
"""

import os
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from datetime import timedelta
from typing import Any, Final

from prefect.settings import (
    PREFECT_SERVER_SERVICES_DB_VACUUM_ENABLED,
    PREFECT_SERVER_SERVICES_DB_VACUUM_RETENTION_PERIOD,
    temporary_settings,
)

from longscribe.errors import OptionError
from longscribe.wording.catalog import translated

KEEP_RUNS_VARIABLE: Final = "LONGSCRIBE_KEEP_RUNS_DAYS"

_LEAST_DAYS: Final = 1.0  # an inbox asks the server what became of a recording's run
_MOST_DAYS: Final = 36_500.0


def keep_runs_days(environment: Mapping[str, str] = os.environ) -> float | None:
    """For how many days the server keeps runs; None for ever.

    Raises:
        OptionError: the variable has no meaning.
    """
    text = environment.get(KEEP_RUNS_VARIABLE, "").strip()
    if not text:
        return None
    try:
        days = float(text)
    except ValueError:
        days = 0.0
    if not _LEAST_DAYS <= days <= _MOST_DAYS:
        raise OptionError(
            translated(
                "{variable}: {text!r} is no number of days from {least:g} on; leave it empty to "
                "keep runs for ever."
            ).format(variable=KEEP_RUNS_VARIABLE, text=text, least=_LEAST_DAYS)
        )
    return days


def keeping_runs(days: float | None) -> AbstractContextManager[Any]:
    """While the block lasts, a server that is started in it removes runs that ended before.

    Args:
        days: None for none.
    """
    if days is None:
        return nullcontext()
    return temporary_settings(
        {
            PREFECT_SERVER_SERVICES_DB_VACUUM_ENABLED: {"events", "flow_runs"},
            PREFECT_SERVER_SERVICES_DB_VACUUM_RETENTION_PERIOD: timedelta(days=days),
        }
    )
