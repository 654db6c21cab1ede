"""An executor whose worker processes may die, hang or be stopped: only what was lost runs again."""

import threading
from collections.abc import Callable
from concurrent.futures import (
    BrokenExecutor,
    CancelledError,
    Executor,
    Future,
    InvalidStateError,
    ThreadPoolExecutor,
)
from contextlib import suppress
from contextvars import copy_context
from functools import partial
from queue import Empty, SimpleQueue
from typing import Any, Final

from longscribe.runtime.fork_server import FORK_SERVER_DIED, fork_server_pid, kill_fork_server
from longscribe.task_runner.any_worker import AnyWorker
from longscribe.task_runner.backlog import Backlog
from longscribe.task_runner.effort import Effort
from longscribe.task_runner.inside import Outcome
from longscribe.task_runner.job import Job, LostTask, UnderWay
from longscribe.task_runner.observations import Observations
from longscribe.task_runner.place import Place
from longscribe.task_runner.run import NOBODY, Run
from longscribe.task_runner.scarce_memory import ScarceMemory
from longscribe.task_runner.worker import Setup, Worker, is_stopped
from longscribe.task_runner.worker_ends import end_shown, is_memory
from longscribe.wording.catalog import translated

# Losses of workers, with nothing finished in between, after which everything is given up: so many,
# or all of them twice.
_LOSSES_IN_A_ROW: Final = 10
_LOOK_EVERY_S: Final = 1.0
_STOPPED_S: Final = 5.0  # a worker without a task, or the fork server while it is needed
_STOPPED_AT_TASK_S: Final = 30.0  # a worker

_STARTED, _READY, _DONE = "started", "ready", "done"


class SurvivingExecutor(Executor):
    """Runs calls of tasks on workers that each are a process of their own.

    When a task whose worker died runs again is the `Backlog`'s to say. All state is kept by one
    thread, which learns of everything through one queue.

    Args:
        workers: processes, at most.
        setup: what they begin with.
        hire: makes the worker of a slot, in the place of a process of this machine; None where
            there is none to be had just now, `LostTask` where there will be none.
        alone_from: deaths of its workers after which a task runs alone.
    """

    def __init__(
        self,
        workers: int,
        setup: Setup,
        hire: Callable[[int], AnyWorker | None] | None = None,
        alone_from: int = 1,
    ) -> None:
        self.workers = self._wanted = workers
        self.halvings = 0
        self._run = NOBODY
        self._hire = hire or (lambda slot: Worker(setup, self._forward, slot))
        self._memory = ScarceMemory()
        self._news: SimpleQueue[tuple[str, Any, Any]] = SimpleQueue()
        self._backlog = Backlog(alone_from)
        self._places: list[Place] = []
        self._warm = 0  # workers that are wanted before there are tasks
        self._jobs = 0
        self._losses_in_a_row = self._most_places = 0
        self._observations = Observations()
        self._lock = threading.RLock()
        self._is_closed = self._has_failed = False
        self._at_once = False
        # A fork server ends with the thread that started it: this one lasts as long as the workers.
        self._starter = ThreadPoolExecutor(1, "worker-starter")
        self._thread = threading.Thread(
            target=copy_context().run, args=(self._supervise,), name="supervisor", daemon=True
        )
        self._thread.start()

    def work_for(self, run: Run) -> None:
        """From now on tasks are this run's."""
        with self._lock:
            self._run = run

    def rest(self) -> bool:
        """The run is over: hear the workers out, and let them wait for another.

        Returns:
            False where they cannot be kept: one is at a task, or memory ran out.
        """
        with self._lock:
            is_worn = self.workers < self._wanted or self.halvings > 0 or self._has_failed
            if is_worn or any(place.job for place in self._places):
                return False
            ready = [place.worker for place in self._places if place.worker.ready]
        if not all(worker.hear_out() for worker in ready):
            return False
        self.work_for(NOBODY)
        return True

    def warm_up(self) -> None:
        """Start the workers before there are tasks."""
        with self._lock:
            self._warm = self.workers
        self._news.put(("", None, None))

    def submit(  # type: ignore[override]  # one kind of call, made by Prefect
        self, call: Callable[..., bytes], /, *args: Any, **kwargs: Any
    ) -> Future[bytes]:
        """Run a call on a worker, again where it was lost.

        Returns:
            its result; `LostTask` where it was given up.
        """
        with self._lock:
            if self._is_closed or self._has_failed:
                raise RuntimeError("the executor takes no tasks any more")
            job = Job(self._jobs, self._run.order(), partial(call, *args, **kwargs))
            self._jobs += 1
            self._warm = 0  # from now on there are workers for the tasks that there are
            self._backlog.add(job)
        self._news.put(("", None, None))
        return job.future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """End all workers: at once if tasks are under way, by themselves otherwise."""
        with self._lock:
            if self._is_closed:
                return
            self._is_closed = True
        self._news.put(("", None, None))
        self._thread.join()
        places, self._places = self._places, []
        at_once = self._at_once or any(place.job for place in places)
        if at_once:
            if any(place.worker.pid is None for place in places):
                kill_fork_server()  # which a thread waits for, to start a worker
            for place in places:
                place.worker.kill()
        self._starter.shutdown(wait=True, cancel_futures=True)
        with ThreadPoolExecutor(max(1, len(places))) as together:
            workers = [place.worker for place in places]
            list(together.map(lambda one: one.bury() if at_once else one.leave(), workers))
        lost = [place.job for place in places if place.job]
        for job in (*lost, *self._backlog):
            job.give_up(translated("The run was stopped."))

    def shutdown_at_once(self) -> None:
        """Kill all workers, whatever they are at."""
        self._at_once = True
        self.shutdown()

    @property
    def pids(self) -> tuple[int, ...]:
        """Of the workers there are."""
        with self._lock:
            return tuple(place.worker.pid for place in self._places if place.worker.pid)

    def under_way(self) -> list[UnderWay]:
        """Which worker is at which task."""
        with self._lock:
            return [
                UnderWay(
                    place.worker.pid or 0,
                    place.job.order.task_run_id,
                    place.job.order.parameters,
                    place.since_s,
                )
                for place in self._places
                if place.job
            ]

    def _supervise(self) -> None:
        try:
            while not self._is_closed:
                with self._lock:
                    self._dispatch()
                try:
                    kind, place, about = self._news.get(timeout=_LOOK_EVERY_S)
                except Empty:
                    kind, place, about = "", None, None
                with self._lock:
                    if kind and place in self._places:
                        self._learn(kind, place, about)
                    if self._observations.is_due(_LOOK_EVERY_S):
                        self._look()
        except Exception as error:
            self._run.logger.exception("The supervisor of the workers failed")
            with self._lock:
                self._has_failed = True
                jobs = [place.job for place in self._places if place.job]
                for job in (*jobs, *self._backlog):
                    job.give_up(f"{type(error).__name__}: {error}")

    def _dispatch(self) -> None:
        """Give idle workers tasks; start workers where more are wanted."""
        for place in self._places:
            if len(self._places) > self.workers and place.worker.ready and not place.job:
                self._retire(place)
                break
        idle = [p for p in self._places if p.worker.ready and not p.job and not p.worker.is_stopped]
        for place in idle:
            job = self._backlog.next([place.job for place in self._places if place.job])
            if job is None:
                break
            self._give(place, job)
        busy = sum(place.job is not None for place in self._places)
        wanted = min(self.workers, busy + self._backlog.at_once)
        for _ in range(max(wanted, min(self._warm, self.workers)) - len(self._places)):
            taken = {place.worker.slot for place in self._places}
            slot = next(slot for slot in range(len(taken) + 1) if slot not in taken)
            try:
                worker = self._hire(slot)
            except LostTask as lost:
                self._give_up_all(str(lost))
                return
            if worker is None:
                return
            self._places.append(Place(worker, self._observations.now_s))
            self._most_places = max(self._most_places, len(self._places))
            place = self._places[-1]
            starting = self._starter.submit(place.worker.start)
            starting.add_done_callback(partial(self._tell, _STARTED, place))

    def _give(self, place: Place, job: Job) -> None:
        try:
            doing = place.worker.give(job, self.halvings)
        except (BrokenExecutor, RuntimeError, OSError):  # it died while it had nothing to do
            self._backlog.put_first(job)
            self._lose(place)
            return
        place.job, place.since_s = job, self._observations.look_s()
        place.effort = Effort(self._observations.now_s)
        place.look(self._observations.now_s)
        doing.add_done_callback(partial(self._tell, _DONE, place))

    def _forward(self, message: Any) -> None:
        self._run.forward(message)

    def _tell(self, kind: str, place: Place, about: Future[Any]) -> None:
        self._news.put((kind, place, about))

    def _learn(self, kind: str, place: Place, about: Future[Any]) -> None:
        if kind == _DONE:
            self._take(place, about)
            return
        try:
            result = about.result()
        except (Exception, CancelledError):
            self._lose(place)
            return
        if kind == _STARTED:
            result.add_done_callback(partial(self._tell, _READY, place))
        else:
            place.worker.ready = True

    def _take(self, place: Place, doing: Future[Outcome]) -> None:
        job = place.job
        assert job is not None
        try:
            outcome = doing.result()
        except (Exception, CancelledError):
            self._lose(place)
            return
        if outcome.error:
            place.job = None
            self._backlog.put_refused(job, outcome.error)
            return
        self._losses_in_a_row = 0
        with suppress(InvalidStateError):  # cancelled meanwhile
            job.future.set_result(outcome.result)
        place.job = None
        place.look(self._observations.now_s)
        self._run.traits.finished(job.order.parameters, place.effort.own_s)

    def _look(self) -> None:
        """Look after the workers; end those that are stuck, past their limit or stopped."""
        self._memory.look()
        stopped = [p.worker.pid for p in self._places if p.worker.pid and p.worker.is_stopped]
        if (server := fork_server_pid()) is not None and is_stopped(server):
            stopped.append(server)
        self._observations.look(stopped)
        for place in list(self._places):
            place.look(self._observations.now_s)
            is_dead = place.worker.ready and not place.worker.is_alive and place.job is None
            if is_dead or place.begins_in_vain:
                self._lose(place)
            elif place.job and not place.job.ended_for:
                self._end_stuck(place, place.job)
        self._end_stopped()
        if server in self._observations.stopped_for(_STOPPED_S):
            kill_fork_server()  # it neither starts workers nor tells of those that died

    def _end_stuck(self, place: Place, job: Job) -> None:
        """End a worker that shows no progress, or has had more time than its task may take."""
        verdict = place.verdict(self._run.traits)
        if verdict is not None:
            job.ended_for = verdict.reason
            name = self._run.traits.name(job.order.parameters)
            self._run.logger.warning(verdict.message, name, verdict.seconds, place.worker.pid)
            place.worker.kill()

    def _end_stopped(self) -> None:
        """End workers that a signal stopped (SIGSTOP): those at a task, or wanted for one."""
        for place in list(self._places):
            limit_s = _STOPPED_AT_TASK_S if place.job else _STOPPED_S
            is_needed = place.job or self._backlog
            if is_needed and place.worker.pid in self._observations.stopped_for(limit_s):
                said = translated("Process %d is stopped while it is needed: it is ended")
                self._run.logger.warning(said, place.worker.pid)
                (place.worker.kill if place.job else partial(self._retire, place))()

    def _retire(self, place: Place) -> None:
        """End a worker that is at nothing."""
        self._places.remove(place)
        place.worker.kill()
        place.worker.bury()

    def _lose(self, place: Place) -> None:
        """A worker died: sort out what that cost."""
        if place not in self._places:
            return
        self._places.remove(place)
        code, job = place.worker.bury(), place.job
        how = end_shown(code)
        self._losses_in_a_row += 1
        if job is not None:
            if code == FORK_SERVER_DIED:
                self._backlog.put_back(job)  # no task is to blame
            else:
                self._backlog.put_dead(job, how, self._run)
        if is_memory(code):
            self._shrink_after_memory()
        left = len(self._backlog)
        if self._losses_in_a_row >= max(_LOSSES_IN_A_ROW, 2 * self._most_places):
            self._give_up_all(translated("workers do not stay alive ({how})").format(how=how))
        elif left:
            self._run.logger.warning(
                translated("A worker is started again: %s; %d task(s) to go"), how, left
            )

    def _give_up_all(self, reason: str) -> None:
        self._backlog.give_up(reason)
        self._warm = 0

    def _shrink_after_memory(self) -> None:
        """Fewer workers, or smaller batches in the last one, after what looks like their memory."""
        if not self._memory.ran_out(self._run.memory_per_worker_bytes):
            return
        if self.workers > 1:
            self.workers //= 2
        else:
            self.halvings += 1
        self._run.logger.warning(
            translated("Memory ran out: going on with %d worker(s), batches halved %d time(s)"),
            self.workers,
            self.halvings,
        )
