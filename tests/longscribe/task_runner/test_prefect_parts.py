"""Prefect's private parts are as prefect_parts.py takes them for; a later Prefect may differ."""

import inspect
from typing import Any

from prefect.task_runners import ProcessPoolTaskRunner, _initialize_process_pool_worker


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
