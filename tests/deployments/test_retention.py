"""Old runs are removed by Prefect's own vacuum, where it is told to."""

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from prefect.settings import (
    PREFECT_API_DATABASE_CONNECTION_URL,
    PREFECT_HOME,
    temporary_settings,
)
from prefect.settings.context import get_current_settings

from longscribe.deployments.retention import keep_runs_days, keeping_runs
from longscribe.errors import OptionError


@pytest.mark.parametrize("text", ["0", "-3", "many", "0.5", "nan", "1e9"])
def test_what_is_no_number_of_days_is_refused(text: str) -> None:
    with pytest.raises(OptionError, match="LONGSCRIBE_KEEP_RUNS_DAYS"):
        keep_runs_days({"LONGSCRIBE_KEEP_RUNS_DAYS": text})


def test_days() -> None:
    assert keep_runs_days({}) is None
    assert keep_runs_days({"LONGSCRIBE_KEEP_RUNS_DAYS": ""}) is None
    assert keep_runs_days({"LONGSCRIBE_KEEP_RUNS_DAYS": "30"}) == 30.0


async def _left(days: float) -> list[str]:
    """Names of the runs that are left of one that ended 40 days ago and one that has just ended."""
    from prefect.server import models, schemas
    from prefect.server.database import provide_database_interface
    from prefect.server.services import db_vacuum

    database = provide_database_interface()
    with keeping_runs(days):
        async with database.session_context(begin_transaction=True) as session:
            flow = await models.flows.create_flow(session, schemas.core.Flow(name=f"flow-{days}"))
            for name, age_days in (("old", 40), ("new", 0)):
                ended = datetime.now(UTC) - timedelta(days=age_days)
                state: Any = schemas.states.Completed(timestamp=ended)
                run = schemas.core.FlowRun(
                    flow_id=flow.id, name=name, state=state, end_time=ended, start_time=ended
                )
                await models.flow_runs.create_flow_run(session, run)
        assert "flow_runs" in get_current_settings().server.services.db_vacuum.enabled_vacuum_types
        await db_vacuum.vacuum_old_flow_runs(db=database)
        async with database.session_context() as session:
            runs = await models.flow_runs.read_flow_runs(
                session,
                flow_filter=schemas.filters.FlowFilter(
                    id=schemas.filters.FlowFilterId(any_=[flow.id])
                ),
            )
            left = sorted(str(run.name) for run in runs)
        await (await database.engine()).dispose()
        return left


def test_by_itself_runs_stay() -> None:
    before = get_current_settings()
    with keeping_runs(None):
        assert get_current_settings() is before
        assert "flow_runs" not in before.server.services.db_vacuum.enabled_vacuum_types


def test_old_runs_go(tmp_path: Path, prefect_home: Any) -> None:
    url = f"sqlite+aiosqlite:///{prefect_home(tmp_path) / 'prefect.db'}"
    with temporary_settings({PREFECT_HOME: tmp_path, PREFECT_API_DATABASE_CONNECTION_URL: url}):
        assert asyncio.run(_left(30.0)) == ["new"]
