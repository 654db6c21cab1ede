"""What Prefect's ProcessPoolTaskRunner has no public name for; nothing else here touches it.

tests/longscribe/task_runner/test_prefect_parts.py fails when one of them changes, and the upper
bound on Prefect in pyproject.toml keeps a later one away until it was tried.
"""

from collections.abc import Callable, Iterator
from concurrent.futures import Executor
from contextlib import contextmanager
from typing import Any, Final, cast

from prefect.context import FlowRunContext
from prefect.events import Event, RelatedResource
from prefect.events.worker import EventsWorker
from prefect.task_runners import ProcessPoolTaskRunner, _initialize_process_pool_worker

_SAID_WITHIN_S: Final = 5.0


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


@contextmanager
def prefect_through(messages: Any) -> Iterator[None]:
    """In a worker that cannot reach the server: events and logs go to `messages.put` meanwhile.

    Prefect's own worker of events asks the server for what each is related to, and keeps them all
    until it answers: here the flow run is named, as far as the context knows it.
    """
    worker: Any = EventsWorker
    ask = worker.attach_related_resources_from_context
    worker.attach_related_resources_from_context = _attach_flow_run
    begin_prefect(messages, None, ())
    try:
        yield
        EventsWorker.drain_all(timeout=_SAID_WITHIN_S, at_exit=False)
    finally:
        worker.attach_related_resources_from_context = ask
        _initialize_process_pool_worker(None)


async def _attach_flow_run(worker: EventsWorker, event: Event) -> None:
    context = FlowRunContext.get()
    if context is None or context.flow_run is None:
        return
    about = {
        "prefect.resource.id": f"prefect.flow-run.{context.flow_run.id}",
        "prefect.resource.role": "flow-run",
        "prefect.resource.name": context.flow_run.name,
    }
    if about["prefect.resource.id"] not in {one.id for one in event.involved_resources}:
        event.related.append(RelatedResource(about))


def begin_prefect(
    messages: Any, initializer: Callable[..., None] | None, initargs: tuple[Any, ...]
) -> None:
    """In a worker: let Prefect's events and logs go to `messages.put`."""
    _initialize_process_pool_worker(messages, initializer, initargs)
