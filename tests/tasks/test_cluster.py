"""What a run makes of Dask workers, told without any."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from longscribe.errors import ClusterError, ModelError
from longscribe.models.weights import DEMO_CHECKPOINT, resolve_model
from longscribe.options import DecodingOptions
from longscribe.task_runner.cluster import DaskWorker
from longscribe.tasks import cluster, cluster_site
from longscribe.tasks.cluster_site import facts, find_weights, have_weights, receive_weights
from longscribe.tasks.cluster_sizing import difference

WORKER = DaskWorker("tcp://10.0.0.3:40001", 4, 0)


def test_other_versions_and_other_code_are_told() -> None:
    own = facts(DecodingOptions())
    assert difference(own, own) == ""
    newer = own._replace(versions={**own.versions, "torch": "9.9.0"})
    assert difference(own, newer) == f"torch 9.9.0, here {own.versions['torch']}"
    assert "with other code than here" in difference(own, own._replace(code="ab"))


class Logger:
    """Keeps what a run's logger is told."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def info(self, message: str, *about: Any) -> None:
        self.said.append(message % about)

    warning = info


@pytest.fixture
def logger(monkeypatch: pytest.MonkeyPatch) -> Logger:
    logger = Logger()
    monkeypatch.setattr(cluster, "get_run_logger", lambda: logger)
    return logger


def a_call(**answers: Any) -> Callable[..., Any]:
    def call(function: Callable[..., Any], *args: Any) -> Any:
        if function.__name__ in answers:
            return answers[function.__name__]
        return function(*args)

    return call


def test_a_worker_of_another_version_is_refused_in_a_sentence(logger: Logger) -> None:
    own = facts(DecodingOptions())
    other = own._replace(versions={**own.versions, "longscribe": "9.0"})
    supply = cluster.ChunkSupply(resolve_model("demo"), DecodingOptions())
    with pytest.raises(ClusterError, match=r"^longscribe 9\.0, here "):
        supply.prepare(WORKER, a_call(facts=other))
    assert logger.said[0].startswith(f"The Dask worker {WORKER.address} is not used: longscribe 9")


def test_results_of_another_processor_are_not_kept(
    logger: Logger, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept: list[str] = []
    monkeypatch.setattr(cluster, "keep_returned", lambda path, content: kept.append(path))
    own = facts(DecodingOptions())
    supply = cluster.ChunkSupply(resolve_model("demo"), DecodingOptions())
    other = WORKER._replace(address="tcp://10.0.0.4:40001")
    supply.prepare(WORKER, a_call(facts=own, find_weights=True, get_ready=None))
    strange = own._replace(instructions=("x86_64",))
    supply.prepare(other, a_call(facts=strange, find_weights=True, get_ready=None))
    supply.keep(WORKER, "one.json", b"{}")
    supply.keep(other, "two.json", b"{}")
    assert kept == ["one.json"]


def test_weights_that_a_worker_lacks_are_sent_and_found_from_then_on(
    logger: Logger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LONGSCRIBE_CACHE", str(tmp_path / "cache"))
    own = tmp_path / "own.pt"
    own.write_bytes(DEMO_CHECKPOINT.read_bytes())
    spec = resolve_model(str(own))
    # As its name is nothing elsewhere.
    monkeypatch.setattr(cluster, "find_weights", cluster_site.find_weights)
    there = spec.model_copy(update={"name": "/nowhere/own.pt"})
    supply = cluster.ChunkSupply(there, DecodingOptions())
    assert not find_weights(there)
    supply.prepare(WORKER, a_call(get_ready=None))
    assert "Sending the weights to" in logger.said[0]
    assert find_weights(there)


def test_weights_that_arrive_damaged_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LONGSCRIBE_CACHE", str(tmp_path / "cache"))
    spec = resolve_model("demo").model_copy(update={"name": "/nowhere/own.pt"})
    content = bytearray(DEMO_CHECKPOINT.read_bytes())
    content[len(content) // 2] ^= 255
    receive_weights(spec, "own.pt", 0, bytes(content))
    with pytest.raises(ModelError):
        have_weights(spec, False)
    assert not find_weights(spec)
