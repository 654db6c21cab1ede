"""A chunk that cannot be transcribed is retried, then left out; the others come through."""

import json
from pathlib import Path
from typing import Any

import pytest
from prefect import flow
from prefect.client.orchestration import get_client

from longscribe.audio.chunks import Chunk
from longscribe.errors import ModelError
from longscribe.models.weights import ModelSpec, resolve_model
from longscribe.options import Decoding, DecodingOptions
from longscribe.runtime.machine import Sizing
from longscribe.tasks.pool import Workers
from longscribe.tasks.transcribe_chunk import Transcribed, transcribe_chunk, transcribe_chunks
from longscribe.tasks.worker import GPU_LOST
from tests.eventually import eventually
from tests.sounds import bursts, write_pcm

SIZING = Sizing(workers=2, threads_per_worker=1, memory_per_worker_bytes=1, batch_size=8)


def chunk(index: int, pcm: Path, sound: tuple[tuple[float, float], ...]) -> Chunk:
    return Chunk(
        index=index,
        count=3,
        pcm_path=pcm,
        start_sample=0,
        stop_sample=16_000,
        original_start_s=1.2 * index,
        original_end_s=1.2 * index + 1.2,
        sha256="ab" * 32,
        cut_in_pause=True,
        sound=sound,
    )


@flow(persist_result=False)
def transcribe_all(
    chunks: list[Chunk], spec: ModelSpec, scratch: Path, decoding: Decoding = "batched"
) -> Any:
    options = DecodingOptions(decoding=decoding)
    keys = {chunk.index: f"{chunk.index:064x}" for chunk in chunks}
    with Workers(SIZING, (spec, options)) as workers:
        return transcribe_chunks(workers, chunks, keys, "int8", spec, options, scratch)


@pytest.fixture(autouse=True)
def own_results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LONGSCRIBE_CACHE", str(tmp_path / "kept"))


def test_one_chunk_fails_after_its_retries_and_the_others_do_not(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    chunks = [
        chunk(0, tmp_path / "none.pcm", ()),
        chunk(1, tmp_path / "missing.pcm", ((0.0, 1.0),)),
        chunk(2, tmp_path / "none.pcm", ()),
    ]
    outcome: Transcribed = transcribe_all(chunks, resolve_model("demo"), tmp_path)
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
    chunks = [chunk(0, pcm, ((0.0, 1.0),))]
    damaged_since = spec.model_copy(update={"path": broken, "sha256": "0" * 64})
    with pytest.raises(ModelError, match="cannot be loaded"):
        transcribe_all(chunks, damaged_since, tmp_path, decoding)


def test_results_that_cannot_be_kept_are_said_once_and_used_all_the_same(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    chunks = [chunk(index, tmp_path / "none.pcm", ()) for index in range(3)]
    spec = resolve_model("demo")
    (tmp_path / "kept").mkdir(exist_ok=True)
    (tmp_path / "kept" / "results").write_text("a file where the folder should be")
    outcome: Transcribed = transcribe_all(chunks, spec, tmp_path)
    assert len(outcome.results) == 3
    said = capfd.readouterr()
    assert said.out.count("cannot be kept in") == 1
    assert "Traceback" not in said.out + said.err
    (tmp_path / "kept" / "results").unlink()
    transcribe_all(chunks, spec, tmp_path)
    outcome = transcribe_all([chunks[2]], spec, tmp_path)
    assert (outcome.kept, json.loads(outcome.results[0])["index"]) == (1, 2)


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
            *(chunk(0, tmp_path / "a.pcm", ()), resolve_model("demo"), DecodingOptions(), 8),
            *("ab" * 32, tmp_path),
        )

    with pytest.raises(Left if leaves else RuntimeError):
        one_chunk()
