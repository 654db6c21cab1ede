"""Prefect's process worker with hosts that stay warm, and that takes up what was killed."""

import asyncio
import os
import signal
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import Any, Final
from uuid import UUID

import anyio
import anyio.abc
import httpx
from prefect.client.orchestration import PrefectClient, get_client
from prefect.client.schemas.objects import FlowRun, State
from prefect.exceptions import Abort, ObjectNotFound, PrefectHTTPStatusError
from prefect.flows import load_flow_from_flow_run
from prefect.runner._control_channel import ControlChannel
from prefect.runner._flow_run_executor import FlowRunExecutionResult, FlowRunExecutorContext
from prefect.runner._process_manager import ProcessHandle
from prefect.utilities.engine import propose_state
from prefect.workers.base import BaseWorkerResult
from prefect.workers.process import (
    ProcessJobConfiguration,
    ProcessWorker,
    ProcessWorkerResult,
)

from longscribe.deployments.claims import claim
from longscribe.deployments.heartbeats import beating
from longscribe.deployments.hosts import Hosts, RunInHost
from longscribe.deployments.killed_runs import take_up_killed
from longscribe.flows.wake import listen
from longscribe.task_runner.scarce_memory import ScarceMemory

_LOOK_EVERY_S: Final = 1.0
_ASK_AGAIN_S: Final = 5.0
# What a run wants; a quarter of it left when its process is killed means that memory ran out.
_WANTED_BYTES: Final = 1_000_000_000


class PoolWorker(ProcessWorker):
    """Carries out runs of the pool.

    Args:
        hosts: that carry them out.
        settings: of Prefect's worker.
    """

    def __init__(self, hosts: Hosts, **settings: Any) -> None:
        super().__init__(**settings)
        self._hosts = hosts
        self._at: Counter[UUID] = Counter()  # how many calls of this worker are at a run
        self._ears: list[asyncio.DatagramTransport] = []
        self._looking: set[asyncio.Task[Any]] = set()

    @classmethod
    def __dispatch_key__(cls) -> str:
        return "longscribe"  # beside Prefect's own class of this type, and not in its place

    async def setup(self) -> None:
        """Prepare; the first host imports meanwhile what runs need."""
        await self._hosts.start_one()
        await super().setup()
        self._ears = await listen(sorted(self._work_queues), str(os.getpid()), self._told)

    async def teardown(self, *exc_info: Any) -> None:
        """Clean up."""
        for ear in self._ears:
            ear.close()
        await super().teardown(*exc_info)
        await self._hosts.close()

    def _told(self) -> None:
        """A run may wait: look for it now."""
        looking = asyncio.create_task(self._look())
        self._looking.add(looking)
        looking.add_done_callback(self._looking.discard)

    async def _look(self) -> None:
        with suppress(httpx.HTTPError, PrefectHTTPStatusError):  # the next look is not far
            await self.get_and_submit_flow_runs()

    def at(self) -> set[UUID]:
        """The runs that it is at: claimed and not over."""
        return set(self._at)

    @contextmanager
    def _being_at(self, flow_run_id: UUID) -> Iterator[None]:
        self._at[flow_run_id] += 1
        try:
            yield
        finally:
            self._at[flow_run_id] -= 1
            self._at += Counter()  # forgets what is at 0

    async def _submit_run(self, flow_run: FlowRun) -> None:
        with self._being_at(flow_run.id):
            await super()._submit_run(flow_run)

    async def _submit_run_and_capture_errors(
        self, flow_run: FlowRun, task_status: anyio.abc.TaskStatus[int | Exception] | None = None
    ) -> BaseWorkerResult | Exception:
        with self._being_at(flow_run.id):
            result = await super()._submit_run_and_capture_errors(flow_run, task_status)
        # What came meanwhile need not wait for the next look, seconds away.
        self._told()
        return result

    async def _propose_pending_state(self, flow_run: FlowRun) -> bool:
        """Claim a run, with this worker's name: see `claims`."""
        logger = self.get_flow_run_logger(flow_run)
        try:
            state = await propose_state(self.client, claim(self.name), flow_run_id=flow_run.id)
        except Abort as exc:
            logger.info("Not claimed: %s", exc)
            return False
        except (httpx.HTTPError, PrefectHTTPStatusError) as exc:
            # If the server did it before it went, `left_runs` finds the run.
            logger.warning("Not claimed: %s", exc)
            return False
        return state.is_pending()

    async def _propose_crashed_state(
        self, flow_run: FlowRun, message: str, client: PrefectClient | None = None
    ) -> None:
        """A run that could not be started, most often for want of the server, is tried again."""
        await self._taken_up(flow_run, message)

    async def run(
        self,
        flow_run: FlowRun,
        configuration: ProcessJobConfiguration,
        task_status: anyio.abc.TaskStatus[int] | None = None,
    ) -> ProcessWorkerResult:
        """Carry one out, as Prefect's own does it, and take it up again where it was killed."""
        task_status = task_status or anyio.TASK_STATUS_IGNORED
        memory = ScarceMemory()
        executions: list[FlowRunExecutionResult | None] = []
        async with FlowRunExecutorContext() as context, _looking(memory), beating(flow_run):
            starter = _Starter(self._hosts, configuration.env, context.control_channel)
            executor = context.create_executor(
                flow_run, starter, resolve_flow=load_flow_from_flow_run, propose_submitting=False
            )

            async def execute(
                *, task_status: anyio.abc.TaskStatus[ProcessHandle] = anyio.TASK_STATUS_IGNORED
            ) -> None:
                executions.append(await executor.submit(task_status=task_status))

            async with anyio.create_task_group() as group:
                handle = await group.start(execute)
                task_status.started(handle.pid)
        # With the context left, a cancellation that was under way is through.
        run = starter.run
        if run is not None and run.failed_with is not None:
            await self._taken_up(flow_run, run.failed_with, ran_out=memory.ran_out(_WANTED_BYTES))
        (execution,) = executions
        if execution is None or execution.status_code is None:
            raise RuntimeError("Failed to start flow run process.")
        return ProcessWorkerResult(
            status_code=execution.status_code, identifier=str(execution.handle.pid)
        )

    async def _taken_up(
        self, flow_run: FlowRun, failed_with: int | str, *, ran_out: bool = False
    ) -> None:
        """As `take_up_killed`; a server that is away is waited for, as long as this worker runs."""

        def attempt() -> State[Any] | None:
            with get_client(sync_client=True) as client:
                return take_up_killed(client, flow_run.id, failed_with, ran_out=ran_out)

        while True:
            try:
                state = await asyncio.to_thread(attempt)
            except ObjectNotFound:
                return
            except (httpx.HTTPError, PrefectHTTPStatusError) as error:
                self._logger.warning("Run %s, which broke off, waits: %s", flow_run.id, error)
                await anyio.sleep(_ASK_AGAIN_S)
            else:
                if state is not None:
                    self.get_flow_run_logger(flow_run).warning("%s", state.message)
                return


class _Starter:
    """Has a run carried out, where Prefect would start a process.

    Attributes:
        run: in its host's hands.
    """

    def __init__(
        self, hosts: Hosts, environment: dict[str, str | None], control: ControlChannel
    ) -> None:
        self._hosts = hosts
        self._environment = environment
        self._control = control
        self.run: RunInHost | None = None

    async def start(
        self,
        flow_run: FlowRun,
        task_status: anyio.abc.TaskStatus[ProcessHandle] = anyio.TASK_STATUS_IGNORED,
    ) -> None:
        """Return when the run is over."""
        host = await self._hosts.take()
        self.run = RunInHost(host.pid)
        # Prefect's handle asks of a process what a run in a host answers as well.
        task_status.started(ProcessHandle(self.run, _Scope(self.run)))  # type: ignore[arg-type]
        try:
            await host.carry_out(self.run, flow_run.id, self._told(flow_run.id))
        except BaseException:
            # The worker is being stopped: at once, and the run stays Running, for its successor.
            host.kill()
            raise
        await self._hosts.give_back(host, self.run)

    def _told(self, flow_run_id: UUID) -> dict[str, str]:
        """What only this run's process has in its environment."""
        own = {
            name: value
            for name, value in self._environment.items()
            if name.startswith("PREFECT__") and value is not None
        }
        own["PREFECT__ENABLE_CANCELLATION_AND_CRASHED_HOOKS"] = "false"
        try:
            port, token = self._control.register(flow_run_id)
        except RuntimeError:  # it has no listener: a cancelled run is killed, as by Prefect
            return own
        return own | {"PREFECT__CONTROL_PORT": str(port), "PREFECT__CONTROL_TOKEN": token}


class _Scope:
    """How Prefect ends a run: by signals to its host, as long as that is at it."""

    wait_after_graceful_kill = True

    def __init__(self, run: RunInHost) -> None:
        self._run = run

    def is_alive(self, pid: int) -> bool:
        return self._run.is_alive(pid)

    def graceful_kill(self, pid: int) -> None:
        self._run.send_signal(signal.SIGTERM)

    def hard_kill(self, pid: int) -> None:
        self._run.send_signal(signal.SIGKILL)

    def close(self) -> None:
        pass


@asynccontextmanager
async def _looking(memory: ScarceMemory) -> AsyncIterator[None]:
    """While the block lasts, see how much memory is left: too late when the process is dead."""

    async def look() -> None:
        while True:
            memory.look()
            await anyio.sleep(_LOOK_EVERY_S)

    looking = asyncio.create_task(look())
    try:
        yield
    finally:
        looking.cancel()
