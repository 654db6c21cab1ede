"""A chunk that cannot be transcribed is retried, then left out; the others come through."""

import json
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from prefect import flow, unmapped
from prefect.client.orchestration import get_client

from longscribe.audio.chunks import Chunk
from longscribe.errors import ModelError
from longscribe.models.weights import ModelSpec, resolve_model
from longscribe.options import Decoding, DecodingOptions
from longscribe.runtime.machine import Sizing
from longscribe.task_runner import GPU_LOST
from longscribe.tasks.chunk_runner import chunk_runner
from longscribe.tasks.collect import Transcribed, collect
from longscribe.tasks.kept_results import keeping
from longscribe.tasks.report import Report
from longscribe.tasks.transcribe_chunk import transcribe_chunk
from tests.caches import own_cache
from tests.chunks import chunk
from tests.eventually import eventually
from tests.sounds import bursts, write_pcm

SIZING = Sizing(workers=2, threads_per_worker=1, memory_per_worker_bytes=1, batch_size=8)


def one_of_three(index: int, pcm: Path, sound: tuple[tuple[float, float], ...]) -> Chunk:
    start_s = 1.2 * index
    times = {"original_start_s": start_s, "original_end_s": start_s + 1.2}
    return chunk(index, count=3, pcm_path=pcm, sound=sound, **times)


class Kept(NamedTuple):
    """What `collect` asks of earlier work."""

    precision: str = "int8"

    def key(self, chunk: Chunk) -> str:
        return f"{chunk.index:064x}"

    def is_not_shared(self, chunk: Chunk) -> bool:
        return False


@flow(persist_result=False)
def transcribe_all(chunks: list[Chunk], spec: ModelSpec, decoding: Decoding = "batched") -> Any:
    options = DecodingOptions(decoding=decoding)
    earlier: Any = Kept()
    with chunk_runner(SIZING, spec, options) as runner:
        report = Report(chunks, runner)
        keys = [earlier.key(chunk) for chunk in chunks]
        given = (unmapped(spec), unmapped(options), 8)
        futures = keeping(transcribe_chunk).map(chunks, *given, keys)
        return collect([], dict(zip(futures, chunks, strict=True)), earlier, report)


@pytest.fixture(autouse=True)
def own_results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LONGSCRIBE_CACHE", str(own_cache(tmp_path / "kept")))


def test_one_chunk_fails_after_its_retries_and_the_others_do_not(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    chunks = [
        one_of_three(0, tmp_path / "none.pcm", ()),
        one_of_three(1, tmp_path / "missing.pcm", ((0.0, 1.0),)),
        one_of_three(2, tmp_path / "none.pcm", ()),
    ]
    outcome: Transcribed = transcribe_all(chunks, resolve_model("demo"))
    assert sorted(json.loads(result)["index"] for result in outcome.results) == [0, 2]
    assert list(outcome.failures) == [1]
    assert "missing.pcm" in outcome.failures[1]
    out, err = capfd.readouterr()
    assert "Chunk 2 of 3 failed for good" in err
    assert "progress 100 % (3/3)" in out
    name = "chunk 02 of 03, 0:00:01-0:00:02"
    assert eventually(lambda: attempts(name), lambda count: count == 4) == 4


def attempts(name: str) -> int:
    with get_client(sync_client=True) as client:
        runs = client.read_task_runs(limit=200)
    return max((run.run_count for run in runs if run.name == name), default=0)


@pytest.mark.parametrize("decoding", ["batched", "sequential"])
def test_a_model_that_cannot_be_loaded_ends_the_run_without_retries(
    tmp_path: Path, decoding: Decoding
) -> None:
    import torch

    spec = resolve_model("demo")
    broken = tmp_path / "model.pt"
    torch.save({"dims": spec.dims.model_dump(), "model_state_dict": {}}, broken)
    pcm = write_pcm(tmp_path / "a.pcm", bursts([(0.0, 1.0)], 1.0))
    chunks = [one_of_three(0, pcm, ((0.0, 1.0),))]
    damaged_since = spec.model_copy(update={"path": broken, "sha256": "0" * 64})
    with pytest.raises(ModelError, match="cannot be loaded"):
        transcribe_all(chunks, damaged_since, decoding)


def test_results_that_cannot_be_kept_are_said_once_and_used_all_the_same(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    chunks = [one_of_three(index, tmp_path / "none.pcm", ()) for index in range(3)]
    spec = resolve_model("demo")
    (tmp_path / "kept" / "results").write_text("a file where the folder should be")
    outcome: Transcribed = transcribe_all(chunks, spec)
    assert len(outcome.results) == 3
    said = capfd.readouterr()
    assert said.out.count("cannot be kept in") == 1
    assert "Traceback" not in said.out + said.err


def test_the_same_sound_elsewhere_is_taken_from_what_was_kept(tmp_path: Path) -> None:
    chunks = [one_of_three(index, tmp_path / "none.pcm", ()) for index in range(2)]
    first: Transcribed = transcribe_all(chunks[:1], resolve_model("demo"))
    keys = {0: "ab" * 32, 1: "ab" * 32}
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(Kept, "key", lambda _, chunk: keys[chunk.index])
        second: Transcribed = transcribe_all(chunks, resolve_model("demo"))
    assert [json.loads(result)["index"] for result in first.results] == [0]
    assert sorted(json.loads(result)["index"] for result in second.results) == [0, 1]


@pytest.mark.parametrize(
    ("message", "leaves"),
    [("CUDA error: an illegal memory access was encountered", True), ("shape mismatch", False)],
)
def test_a_worker_leaves_when_its_gpu_can_do_nothing_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, message: str, leaves: bool
) -> None:
    class Left(BaseException):
        pass

    def fail(*_: Any) -> None:
        raise RuntimeError(message)

    def leave(exit_code: int) -> None:
        assert exit_code == GPU_LOST
        raise Left

    monkeypatch.setattr("longscribe.decoding.chunk.transcribe_chunk", fail)
    monkeypatch.setitem(transcribe_chunk.fn.__globals__, "leave_pool", leave)

    @flow
    def one_chunk() -> None:
        transcribe_chunk.with_options(retries=0, persist_result=False)(
            *(one_of_three(0, tmp_path / "a.pcm", ()), resolve_model("demo"), DecodingOptions(), 8),
            "ab" * 32,
        )

    with pytest.raises(Left if leaves else RuntimeError):
        one_chunk()
