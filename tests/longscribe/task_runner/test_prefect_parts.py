"""Prefect's private parts are as prefect_parts.py takes them for; a later Prefect may differ."""

import inspect
from typing import Any

from prefect import flow, task
from prefect.events import emit_event
from prefect.events.worker import EventsWorker
from prefect.runtime import flow_run
from prefect.task_runners import ProcessPoolTaskRunner, _initialize_process_pool_worker

from longscribe.task_runner.prefect_parts import prefect_through


def test_tasks_are_handed_to_an_executor_that_can_be_another() -> None:
    runner: Any = ProcessPoolTaskRunner(max_workers=1)
    assert runner._executor is None
    assert runner._max_workers == 1
    with runner:
        assert runner._executor is not None
        assert runner._subprocess_message_queue is not None
        runner._executor.shutdown()
    assert "self._executor.submit(" in inspect.getsource(runner._resolve_futures_and_submit)


def test_a_task_run_is_handed_over_by_these_names() -> None:
    parameters = inspect.signature(ProcessPoolTaskRunner._resolve_futures_and_submit).parameters
    assert {"task", "task_run_id", "parameters"} <= set(parameters)
    assert "task_run_id=task_run_id" in inspect.getsource(ProcessPoolTaskRunner.submit)


def test_a_worker_s_messages_go_to_whatever_can_put_them() -> None:
    parameters = inspect.signature(_initialize_process_pool_worker).parameters
    assert list(parameters) == ["message_queue", "initializer", "initargs"]


def test_events_of_a_worker_elsewhere_name_their_flow_run_without_asking_the_server() -> None:
    asked = EventsWorker.attach_related_resources_from_context
    said: list[Any] = []

    class Messages:
        def put(self, message: Any) -> None:
            said.append(message)

    messages = Messages()

    @task
    def tell() -> None:
        with prefect_through(messages):
            assert EventsWorker.attach_related_resources_from_context is not asked
            emit_event("said", {"prefect.resource.id": "longscribe.test"})

    @flow
    def run() -> str:
        tell()
        return str(flow_run.id)

    run_id = run()
    assert EventsWorker.attach_related_resources_from_context is asked
    [event] = [event for kind, event in said if kind == "event" and event.event == "said"]
    assert [one.id for one in event.related] == [f"prefect.flow-run.{run_id}"]
