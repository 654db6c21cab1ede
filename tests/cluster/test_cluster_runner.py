"""Tasks on Dask workers that die, hang, leave or join: what was lost runs again, and only that."""

import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import psutil
import pytest
from prefect import flow, unmapped
from prefect.client.orchestration import get_client
from prefect.futures import as_completed

from longscribe.errors import ClusterError
from longscribe.task_runner import LostTask, Patience, cluster_runner
from longscribe.task_runner.cluster import Cluster, DaskWorker
from longscribe.task_runner.cluster_runner import ClusterTaskRunner
from longscribe.task_runner.cluster_worker import Call
from tests.cluster.dask_processes import DaskCluster, dask_cluster
from tests.eventually import eventually
from tests.longscribe.task_runner.deeds import COUNT, Ran, Traits, attempts, pretend

pytestmark = pytest.mark.cluster

ALL = list(range(COUNT))


class Nothing:
    """Is needed by these tasks."""

    def prepare(self, worker: DaskWorker, call: Call) -> None:
        call(int)

    def attachments(self, parameters: Mapping[str, Any]) -> Mapping[str, bytes]:
        return {}

    def keep(self, worker: DaskWorker, path: str, content: bytes) -> None:
        raise AssertionError("nothing is written")


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[DaskCluster]:
    with dask_cluster(tmp_path / "dask", workers=2) as cluster:
        yield cluster


class Choosy(Nothing):
    """Refuses a worker, as one that has other code.

    Attributes:
        asked: how often for it.
    """

    def __init__(self, refused: str) -> None:
        self._refused = refused
        self.asked = 0

    def prepare(self, worker: DaskWorker, call: Call) -> None:
        if worker.address == self._refused:
            self.asked += 1
            raise ClusterError("it has other code")


def run_pieces(
    cluster: DaskCluster,
    folder: Path,
    deeds: Mapping[int, list[str]],
    *,
    limit_s: float = 60.0,
    patience: Patience | None = None,
    while_they_run: Any = lambda runner: None,
) -> Ran:
    """Four pieces on a cluster."""
    # The flow travels with its tasks, and what it holds has to be picklable.
    address = cluster.address
    meanwhile = _Meanwhile(while_they_run)

    @flow(persist_result=False)
    def run() -> Any:
        ran = Ran({}, {}, 0)
        traits = Traits(limit_s, patience)
        with ClusterTaskRunner(address, Nothing(), traits=traits) as runner:
            futures = pretend.map(ALL, unmapped(folder), unmapped(deeds))
            index = {future: number for number, future in enumerate(futures)}
            meanwhile.start(runner)
            for future in as_completed(list(futures)):
                try:
                    ran.results[index[future]] = future.result()
                except Exception as error:
                    ran.errors[index[future]] = error
            meanwhile.join()
            return ran._replace(workers=runner.workers)

    ran: Ran = run()
    return ran


class _Meanwhile:
    """Something that is done on a thread of its own while pieces are at work."""

    def __init__(self, work: Any) -> None:
        self._work = work

    def start(self, runner: ClusterTaskRunner) -> None:
        self._thread = threading.Thread(target=self._work, args=(runner,))
        self._thread.start()

    def join(self) -> None:
        self._thread.join()

    def __reduce__(self) -> Any:
        return (int, ())


def workers_of(cluster: DaskCluster, count: int) -> list[str]:
    with Cluster(cluster.address) as connection:
        return list(eventually(connection.workers, lambda found: len(found) == count, within_s=60))


def test_tasks_run_on_the_cluster_and_are_seen_in_the_ui(
    cluster: DaskCluster, tmp_path: Path
) -> None:
    assert len(workers_of(cluster, 2)) == 2
    ran = run_pieces(cluster, tmp_path, {1: ["lose gpu"]})
    assert sorted(ran.results) == ALL, ran.errors
    assert sorted(attempts(tmp_path)) == [0, 1, 1, 2, 3]
    assert ran.workers == 2

    def lines() -> list[str]:
        with get_client(sync_client=True) as client:
            return [line.message for line in client.read_logs(limit=200)]

    assert eventually(lines, lambda said: "Piece 1 lost its GPU" in said)

    def states() -> list[str]:
        with get_client(sync_client=True) as client:
            runs = client.read_task_runs(limit=200)
        return [str(one.state_name) for one in runs if one.name.startswith("piece")]

    assert eventually(states, lambda rows: rows == ["Completed"] * COUNT) == ["Completed"] * COUNT


def test_a_task_that_kills_every_worker_is_given_up(cluster: DaskCluster, tmp_path: Path) -> None:
    ran = run_pieces(cluster, tmp_path, {0: ["die"] * 9})
    assert sorted(ran.results) == [1, 2, 3]
    assert isinstance(ran.errors[0], LostTask)
    assert str(ran.errors[0]) == "its worker died 3 times (the Dask worker is gone)"
    assert attempts(tmp_path).count(0) == 3


def test_a_worker_that_leaves_for_good_and_one_that_joins_meanwhile(
    cluster: DaskCluster, tmp_path: Path
) -> None:
    lost = cluster.add_worker()
    workers_of(cluster, 3)

    def change(runner: ClusterTaskRunner) -> None:
        time.sleep(1.0)
        cluster.kill(lost)
        cluster.add_worker()

    slow = {number: ["slow"] * 3 for number in ALL}
    ran = run_pieces(cluster, tmp_path, slow, while_they_run=change)
    assert sorted(ran.results) == ALL
    assert not ran.errors


def test_one_that_is_of_no_use_is_asked_once(
    cluster: DaskCluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cluster_runner, "_AGAIN_AFTER_S", 0.2)
    (first, _) = workers_of(cluster, 2)
    address = cluster.address
    slow = {number: ["slow"] for number in ALL}
    asked = []

    @flow(persist_result=False)
    def run() -> list[Any]:
        supply = Choosy(first)
        with ClusterTaskRunner(address, supply, traits=Traits()) as runner:
            assert runner.workers == 2
            futures = pretend.map(ALL, unmapped(tmp_path), unmapped(slow))
            results = [future.result() for future in futures]
            asked.append(supply.asked)
            return results

    assert len(run()) == COUNT
    assert asked == [1]


def test_one_that_shows_no_progress_is_ended_and_runs_again(
    cluster: DaskCluster, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    workers_of(cluster, 2)
    patience = Patience(computing_s=3.0, waiting_s=30.0)
    ran = run_pieces(cluster, tmp_path, {2: ["turn"]}, patience=patience)
    assert sorted(ran.results) == ALL
    assert attempts(tmp_path).count(2) == 2
    assert "Piece 2 shows no progress for" in capfd.readouterr().out


def test_one_that_works_on_unwanted_ends_and_its_worker_stays(
    cluster: DaskCluster, tmp_path: Path
) -> None:
    (first, *_) = workers_of(cluster, 2)
    address = cluster.address

    @flow(persist_result=False)
    def run() -> None:
        with ClusterTaskRunner(address, Nothing(), traits=Traits()) as runner:
            pretend.map(ALL, unmapped(tmp_path), unmapped({n: ["labour"] * 3 for n in ALL}))
            eventually(runner.under_way, lambda at: len(at) == 2, within_s=30)
            time.sleep(2.0)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run()
    assert len(attempts(tmp_path)) == 2
    time.sleep(3.0)
    used_s = [_used_s(pid) for pid in _worker_pids(cluster)]
    time.sleep(2.0)
    assert (
        max(b - a for a, b in zip(used_s, map(_used_s, _worker_pids(cluster)), strict=True)) < 1.0
    )
    assert first in workers_of(cluster, 2)


def test_no_scheduler_is_told_in_a_sentence() -> None:
    with pytest.raises(ClusterError, match=r"no Dask scheduler answers at tcp://127\.0\.0\.1:9"):
        Cluster("tcp://127.0.0.1:9")


def _worker_pids(cluster: DaskCluster) -> list[int]:
    with Cluster(cluster.address) as connection:
        return [connection.call(address, _pid) for address in connection.workers()]


def _pid() -> int:
    import os

    return os.getpid()


def _used_s(pid: int) -> float:
    times = psutil.Process(pid).cpu_times()
    return float(times.user + times.system)
