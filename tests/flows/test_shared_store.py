"""Two machines with a cache folder each and one store: what one finished the other does not do."""

from pathlib import Path
from typing import Any

import pytest

from longscribe.cache.results import result_path
from longscribe.flows.transcribe import transcribe
from tests.caches import own_cache
from tests.recordings import write_beginning


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_beginning(tmp_path_factory.mktemp("recording"))


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "store"
    folder.mkdir()
    monkeypatch.setenv("LONGSCRIBE_STORE", str(folder))
    return folder


def run_on(machine: str, recording: Path, folder: Path, **options: Any) -> Any:
    """Transcribe on a machine of this name: with a cache folder of its own."""
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("LONGSCRIBE_CACHE", str(own_cache(folder / machine)))
        return transcribe(
            recording=str(recording),
            model="demo",
            chunk_minutes=0.5,
            workers=1,
            output_dir=str(folder / f"{machine}-out"),
            formats=["txt"],
            **options,
        )


def text_of(machine: str, folder: Path) -> str:
    (found,) = (folder / f"{machine}-out").rglob("*.txt")
    return found.read_text(encoding="utf-8")


def test_what_one_machine_finished_another_finds(
    recording: Path, store: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    first = run_on("a", recording, tmp_path)
    assert (first.chunks >= 2, first.kept_chunks) == (True, 0)
    results = sorted((store / "results").rglob("*.json"))
    assert len(results) == first.chunks
    capfd.readouterr()

    # Half an object, one that was changed, and one that is no result: those are done again.
    second = run_on("b", recording, tmp_path)
    assert second.kept_chunks == first.chunks
    assert text_of("b", tmp_path) == text_of("a", tmp_path)
    assert "started: " not in capfd.readouterr().out

    whole = [path.read_bytes() for path in results]
    results[0].write_bytes(whole[0][: len(whole[0]) // 2])
    third = run_on("c", recording, tmp_path)
    assert third.kept_chunks == first.chunks - 1
    assert text_of("c", tmp_path) == text_of("a", tmp_path)
    assert len(results[0].read_bytes()) > len(whole[0]) // 2

    fresh = run_on("d", recording, tmp_path, fresh=True)
    assert fresh.kept_chunks == 0


def test_a_store_that_fails_costs_a_warning(
    recording: Path, store: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    store.rmdir()
    summary = run_on("a", recording, tmp_path)
    assert (summary.kept_chunks, summary.failed_chunks) == (0, 0)
    said = capfd.readouterr()
    assert said.out.count("cannot be used: it does not exist") == 1
    assert "Traceback" not in said.out + said.err
    assert not store.exists()
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("LONGSCRIBE_CACHE", str(tmp_path / "a"))
        assert list(result_path("ab" * 32).parents[1].rglob("*.json"))
