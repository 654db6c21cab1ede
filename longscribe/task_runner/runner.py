"""The task runner that a flow uses."""

import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from uuid import UUID

from prefect import Task
from prefect.context import FlowRunContext
from prefect.futures import PrefectConcurrentFuture, PrefectFuture, PrefectFutureList
from prefect.logging import get_run_logger
from prefect.settings import (
    PREFECT_CLIENT_SERVER_VERSION_CHECK_ENABLED,
    temporary_settings,
)

from longscribe.runtime.fork_server import start_fork_server
from longscribe.task_runner.executor import SurvivingExecutor
from longscribe.task_runner.job import Order, TaskTraits, UnderWay
from longscribe.task_runner.kept_workers import Staff, executor_for, keep
from longscribe.task_runner.prefect_parts import PoolWithParts
from longscribe.task_runner.run import AnyTask, Run
from longscribe.task_runner.worker import Setup


class SurvivingTaskRunner(PoolWithParts):
    """Runs tasks in worker processes that may die, hang, be stopped or run out of memory.

    - A task whose worker died (SIGKILL, a crash of native code, `os._exit`) runs again under the
      same task run, and no other is touched. It runs when all others are done, alone; after three
      deaths it is given up, and its future raises `LostTask`. Results that Prefect kept before the
      worker died are found by its cache.
    - One that shows no progress for longer than the patience of its `traits` counts the same, and
      one past its limit: its worker is killed. Time in which others had the cores does not count.
    - A worker that a signal stopped (SIGSTOP) is replaced, at a task after half a minute, without
      one when it is needed; where the whole run is stopped (Ctrl-Z, `fg`), time stands still.
    - After what looks like memory that ran out there are half as many workers; in the last one a
      task's `halvings()` tells how often it should halve what it does side by side.
    - Workers are forked from a server that imported `preload` once: they are there at once, and
      share that memory. They end with the flow's process, however that ends.
    - Retries, caching, states, logs and events of tasks are Prefect's own.
    - Within `keeping_workers` they wait for the next run that wants the same ones.

    Used in a flow, as a context manager; tasks that are mapped or submitted in the block run here,
    whatever the flow's own task runner is. An exception out of the block kills all workers at once.

        with SurvivingTaskRunner(4, traits=Chunks()) as runner:
            runner.warm_up()
            futures = transcribe_chunk.map(chunks)

    Args:
        max_workers: processes.
        initializer: picklable; called once in each worker before its first task.
        initargs: its arguments.
        traits: how long tasks may show no progress and take, and their names in messages.
        memory_per_worker_bytes: what a worker needs, to tell whether memory ran out.
        preload: names of modules that the fork server imports.
        processors: of what workers send, as Prefect's `subprocess_message_processor_factories`.
    """

    def __init__(
        self,
        max_workers: int | None = None,
        initializer: Callable[..., None] | None = None,
        initargs: tuple[Any, ...] = (),
        *,
        traits: TaskTraits | None = None,
        memory_per_worker_bytes: int = 0,
        preload: Iterable[str] = (),
        processors: Iterable[Any] = (),
    ) -> None:
        super().__init__(max_workers, subprocess_message_processor_factories=processors)
        setup = Setup(initializer, tuple(initargs), tuple(preload))
        self._staff = Staff(self.most_workers, setup)
        self._memory_per_worker_bytes = memory_per_worker_bytes
        self._traits = traits or AnyTask()
        self._surviving: SurvivingExecutor | None = None
        self._block = ExitStack()
        self._handed_over = threading.local()

    def duplicate(self) -> "SurvivingTaskRunner":
        """Another like it, not started."""
        setup = self._staff.setup
        return type(self)(
            self.most_workers,
            setup.initializer,
            setup.initargs,
            traits=self._traits,
            memory_per_worker_bytes=self._memory_per_worker_bytes,
            preload=setup.preload,
            processors=self.subprocess_message_processor_factories,
        )

    def __enter__(self) -> "SurvivingTaskRunner":
        """Start; workers are started by `warm_up` or the first task."""
        super().__enter__()
        unused = self.executor  # Prefect's; it has not started any process yet
        if unused is not None:
            unused.shutdown(wait=False)
        context = FlowRunContext.get()
        logger = get_run_logger() if context else self.logger
        self._surviving = self.executor_of_run()
        self._surviving.work_for(
            Run(
                self._traits,
                logger,
                self.forward,
                self._memory_per_worker_bytes,
                lambda: self._handed_over.order,
            )
        )
        self.executor = self._surviving
        if context is not None:
            # Where `Task.map` and `Task.submit` look for a runner.
            self._block.enter_context(context.model_copy(update={"task_runner": self}))
        return self

    def __exit__(self, kind: Any, error: Any, traceback: Any) -> None:
        """Let the workers leave, or wait for another run; at once when there was an error."""
        self._block.close()
        if self._surviving is not None:
            if error is not None:
                self._surviving.shutdown_at_once()
            elif self.keeps(self._surviving):
                self._surviving = None
                self.executor = None
        super().__exit__(kind, error, traceback)

    def executor_of_run(self) -> SurvivingExecutor:
        """What a run's tasks are handed to; its workers may be there already."""
        return executor_for(self._staff)

    def keeps(self, executor: SurvivingExecutor) -> bool:
        """After a run that went well: whether its workers wait for the next."""
        return keep(self._staff, executor)

    def warm_up(self) -> None:
        """Start all workers now, before there is a task."""
        assert self._surviving
        # By this thread, which outlasts the runner: the next one finds it running.
        start_fork_server(self._staff.setup.preload)
        self._surviving.warm_up()

    @property
    def workers(self) -> int:
        """Workers at most, as of now: fewer where memory ran out."""
        return self._surviving.workers if self._surviving else self.most_workers

    @property
    def pids(self) -> tuple[int, ...]:
        """Of the workers there are."""
        return self._surviving.pids if self._surviving else ()

    def under_way(self) -> list[UnderWay]:
        """Which worker is at which task."""
        return self._surviving.under_way() if self._surviving else []

    def map(
        self,
        task: "Task[Any, Any]",
        parameters: dict[str, Any],
        wait_for: Iterable[PrefectFuture[Any]] | None = None,
    ) -> PrefectFutureList[PrefectConcurrentFuture[Any]]:
        """Submit a task for each of the parameters that are iterable."""
        # A worker would ask the server for its version before its first task, as the run itself
        # has done, and fail where the server is away.
        if not PREFECT_CLIENT_SERVER_VERSION_CHECK_ENABLED.value():
            return super().map(task, parameters, wait_for)
        with temporary_settings({PREFECT_CLIENT_SERVER_VERSION_CHECK_ENABLED: False}):
            return super().map(task, parameters, wait_for)

    @contextmanager
    def handing_over(
        self, task_run_id: UUID, task: "Task[Any, Any]", parameters: dict[str, Any]
    ) -> Iterator[None]:
        """While the block lasts, what this thread gives the executor is this task run's call."""
        self._handed_over.order = Order(task_run_id, task.name, parameters)
        yield
