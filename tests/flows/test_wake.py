"""A word that a run waits reaches the workers of its queue, and those that are gone do no harm."""

import asyncio
import tempfile
from pathlib import Path

import pytest

from longscribe.flows import wake as module
from longscribe.flows.wake import listen, wake


@pytest.fixture
def folder(monkeypatch: pytest.MonkeyPatch):
    with tempfile.TemporaryDirectory(dir="/tmp") as short:  # a socket's path has 107 characters
        monkeypatch.setattr(module, "_folder", lambda: Path(short) / "wake")
        yield Path(short) / "wake"


def test_those_of_the_queue_hear_it(folder: Path) -> None:
    heard: list[str] = []

    async def story() -> None:
        ears = await listen(["clips"], "1", lambda: heard.append("first"))
        ears += await listen(["default", "short"], "2", lambda: heard.append("second"))
        wake("clips")
        await asyncio.sleep(0.05)
        wake("short")
        await asyncio.sleep(0.05)
        for ear in ears:
            ear.close()

    asyncio.run(story())
    assert heard == ["first", "second"]
    wake("clips")
    assert not list(folder.glob("clips-*"))  # nobody is there any more


def test_nobody_is_there(folder: Path) -> None:
    wake("clips")
    folder.mkdir(parents=True)
    wake("clips")


def test_where_nothing_can_listen_they_look_by_themselves(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(module, "_folder", lambda: tmp_path / ("long" * 30))
    assert asyncio.run(listen(["clips"], "1", lambda: None)) == []
