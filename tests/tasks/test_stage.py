"""What Prefect makes of a stage's parameters."""

from typing import Any, NoReturn
from uuid import UUID

from prefect import flow
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterId
from prefect.runtime import flow_run

from longscribe.tasks.stage import stage
from tests.eventually import eventually


class Opened(list[int]):
    """Fails when somebody looks into it."""

    def __iter__(self) -> NoReturn:
        raise AssertionError("nobody has to look into a stage's parameters")


@stage("find")
def find() -> list[Opened]:
    return [Opened([1])]


@stage("use", run_name="use it {how}")
def use(found: list[Opened], *, how: str) -> tuple[Any, str]:
    return found, how


def test_parameters_arrive_as_they_are_and_the_ui_draws_where_they_came_from() -> None:
    seen: list[Any] = []

    @flow
    def both() -> None:
        found = find()
        seen.extend((UUID(str(flow_run.id)), found, use(found, how="well")))

    both()
    run_id, found, (arrived, how) = seen
    assert arrived is found
    assert how == "well"
    of_run = FlowRunFilter(id=FlowRunFilterId(any_=[run_id]))
    with get_client(sync_client=True) as client:
        by_name = eventually(
            lambda: {row.name: row for row in client.read_task_runs(flow_run_filter=of_run)},
            # A row first has a made-up name: the stage's own comes with a later event.
            lambda rows: set(rows) == {"find", "use it well"},
        )
    assert set(by_name) == {"find", "use it well"}
    inputs = by_name["use it well"].task_inputs["found"]
    assert [source.id for source in inputs] == [by_name["find"].id]
