"""What a task did is kept before anybody is told that it is done."""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from prefect import Task, flow
from prefect.task_engine import SyncTaskRunEngine

from longscribe.cache.results import is_kept
from longscribe.models.weights import resolve_model
from longscribe.options import DecodingOptions
from longscribe.tasks.hear_voices import hear_voices
from longscribe.tasks.kept_results import keeping, read_kept
from longscribe.tasks.transcribe_chunk import transcribe_chunk
from tests.caches import own_cache
from tests.chunks import chunk

KEY = "ab" * 32


class Deaf:
    """Hears nothing."""

    def hear(self, part: object, advance: Callable[[], None]) -> str:
        return "[]"


def silence(folder: Path) -> tuple[Any, ...]:
    silent = chunk(0, count=1, pcm_path=folder / "none.pcm", sound=())
    return silent, resolve_model("demo"), DecodingOptions(), 8, KEY


def no_voices(folder: Path) -> tuple[Any, ...]:
    del folder
    return SimpleNamespace(label="part 1"), Deaf(), KEY


@pytest.fixture(autouse=True)
def own_results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LONGSCRIBE_CACHE", str(own_cache(tmp_path / "kept")))


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, bool]]:
    """The states that are set, and whether the result is there by then."""
    states = []
    set_state = SyncTaskRunEngine.set_state

    def noted(engine: Any, state: Any, **options: Any) -> Any:
        states.append((state.type.value, is_kept(KEY, 0.0)))
        return set_state(engine, state, **options)

    monkeypatch.setattr(SyncTaskRunEngine, "set_state", noted)
    return states


@pytest.mark.parametrize(
    ("task", "parameters"), [(transcribe_chunk, silence), (hear_voices, no_voices)]
)
def test_it_is_there_when_the_state_is_set(
    task: Task[Any, str],
    parameters: Callable[[Path], tuple[Any, ...]],
    told: list[tuple[str, bool]],
    tmp_path: Path,
) -> None:
    @flow(persist_result=False)
    def one() -> str:
        return keeping(task)(*parameters(tmp_path))

    result = one()
    assert told[-1] == ("COMPLETED", True)
    assert told[0][1] is False
    assert read_kept(KEY) == result


def test_nothing_is_kept_of_a_task_that_is_told_so(tmp_path: Path) -> None:
    @flow(persist_result=False)
    def one() -> str:
        result: str = hear_voices.with_options(persist_result=False)(*no_voices(tmp_path))
        return result

    assert one() == "[]"
    assert not is_kept(KEY, 0.0)
