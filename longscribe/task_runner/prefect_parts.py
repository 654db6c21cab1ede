"""What Prefect's ProcessPoolTaskRunner has no public name for; nothing else here touches it.

tests/longscribe/task_runner/test_prefect_parts.py fails when one of them changes, and the upper
bound on Prefect in pyproject.toml keeps a later one away until it was tried.
"""

from collections.abc import Callable
from concurrent.futures import Executor
from typing import Any, cast

from prefect.task_runners import ProcessPoolTaskRunner, _initialize_process_pool_worker


class PoolWithParts(ProcessPoolTaskRunner):
    """Prefect's runner with names for the parts that a subclass replaces or feeds."""

    @property
    def most_workers(self) -> int:
        """Processes, as asked for or by Prefect's settings."""
        return self._max_workers

    @property
    def executor(self) -> Executor | None:
        """What tasks are handed to, pickled."""
        return cast("Executor | None", self._executor)

    @executor.setter
    def executor(self, executor: Executor | None) -> None:
        self._executor = executor  # type: ignore[assignment]  # any Executor does

    def forward(self, message: Any) -> None:
        """Pass on what a worker's Prefect sent: an event or a line of its log."""
        queue = self._subprocess_message_queue
        if queue is not None:
            queue.put(message)

    def _resolve_futures_and_submit(self, *args: Any, **kwargs: Any) -> Any:
        """On a thread of the runner: make a call of a task and hand it to the executor."""
        kwargs["env"] = self.environment(kwargs["env"])
        with self.handing_over(kwargs["task_run_id"], kwargs["task"], kwargs["parameters"]):
            return super()._resolve_futures_and_submit(*args, **kwargs)

    def environment(self, env: dict[str, str]) -> dict[str, str]:
        """What a task's worker has in its environment meanwhile."""
        return env

    def handing_over(self, task_run_id: Any, task: Any, parameters: dict[str, Any]) -> Any:
        """A context in which the executor gets this task's call."""
        raise NotImplementedError


def begin_prefect(
    messages: Any, initializer: Callable[..., None] | None, initargs: tuple[Any, ...]
) -> None:
    """In a worker: let Prefect's events and logs go to `messages.put`."""
    _initialize_process_pool_worker(messages, initializer, initargs)
