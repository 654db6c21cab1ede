"""Two hundred clips and twenty hours of speech at once, through nginx, with real weights."""

import asyncio
import os
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import httpx
import numpy as np
import psutil
import pytest

from longscribe.web.database import Database
from longscribe.web.keys import add_key
from longscribe.web.users import user_named
from tests.deployments.conftest import Note
from tests.deployments.proxy import IS_INSTALLED, LIBRARY, Proxy
from tests.deployments.served import PROJECT, Served
from tests.recordings import beginning
from tests.sounds import RATE_HZ, write_sound

pytestmark = [
    pytest.mark.many,
    pytest.mark.timeout(7200),
    pytest.mark.skipif(not IS_INSTALLED, reason="nginx is not installed"),
]

# Fewer, for a quick look.
CLIPS: Final = int(os.environ.get("CROWD_CLIPS", "200"))
HOURS: Final = int(os.environ.get("CROWD_HOURS", "20"))
CLIP_S: Final = 8.0
HOUR_S: Final = float(os.environ.get("CROWD_HOUR_S", "3600"))
READER: Final = PROJECT / "benchmarks" / "speech" / "lj001_a.opus"
# Of the web application, from its first requests on: pages of the allocator, no recordings.
MOST_GROWN_BYTES: Final = 150_000_000


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Served]:
    served = Served(tmp_path, LONGSCRIBE_MODEL="base", LONGSCRIBE_INBOX_CRON="0 0 1 1 *")
    served.start()
    yield served
    served.stop()


def recordings(folder: Path) -> tuple[list[Path], list[Path]]:
    """Clips, and recordings of an hour; no two alike."""
    reader = beginning(READER, 660.0)
    length = round(CLIP_S * RATE_HZ)
    starts = np.linspace(0, len(reader) - length, CLIPS).astype(int)
    clips = [
        write_sound(folder / f"clip {number}.wav", reader[start : start + length])
        for number, start in enumerate(starts)
    ]
    hour = np.resize(reader, round(HOUR_S * RATE_HZ))
    hours = [
        # Each from another place on, so that no chunk is one that was heard before.
        write_sound(folder / f"hour {number}.flac", np.roll(hour, number * 7 * RATE_HZ))
        for number in range(HOURS)
    ]
    return clips, hours


class Crowd:
    """Programs that ask the service through nginx, all at once.

    Attributes:
        times_s: how long each waited for its text, by kind.
        texts: what each got.
    """

    def __init__(self, proxy: Proxy, key: str) -> None:
        self.times_s: dict[str, list[float]] = {"clip": [], "upload": [], "hour": []}
        self.texts: dict[str, str] = {}
        self._url = f"https://127.0.0.1:{proxy.ports[443]}"
        self._client = httpx.AsyncClient(
            verify=proxy.tls,
            headers={"host": LIBRARY, "authorization": f"Bearer {key}"},
            limits=httpx.Limits(max_connections=None),
            timeout=7000,
        )

    async def ask_all(self, clips: list[Path], hours: list[Path]) -> None:
        async with self._client, asyncio.TaskGroup() as group:
            for path in hours:
                group.create_task(self._hour(path))
            for path in clips:
                group.create_task(self._clip(path))

    async def _request(self, method: str, path: str, **what: Any) -> httpx.Response:
        answer = await self._client.request(
            method, f"{self._url}{path}", extensions={"sni_hostname": LIBRARY}, **what
        )
        assert answer.is_success, (path, answer.status_code, answer.text)
        return answer

    async def _clip(self, path: Path) -> None:
        started_s = time.monotonic()
        with path.open("rb") as file:
            answer = await self._request(
                "POST",
                "/v1/audio/transcriptions",
                files={"file": (path.name, file)},
                data={"model": "whisper-1", "language": "en"},
            )
        self.times_s["clip"].append(time.monotonic() - started_s)
        self.texts[path.name] = answer.json()["text"]

    async def _hour(self, path: Path) -> None:
        started_s = time.monotonic()
        with path.open("rb") as file:
            made = await self._request(
                "POST", "/jobs", files={"file": (path.name, file)}, data={"language": "en"}
            )
        self.times_s["upload"].append(time.monotonic() - started_s)
        job = f"/jobs/{made.json()['id']}"
        while (state := (await self._request("GET", job)).json()["state"]) != "done":
            assert state in ("queued", "running"), state
            await asyncio.sleep(10.0)
        self.times_s["hour"].append(time.monotonic() - started_s)
        self.texts[path.name] = (await self._request("GET", f"{job}/transcript?format=txt")).text


class Memory:
    """What the service's processes take, looked at while requests go on.

    Attributes:
        of_web: bytes of the web application, each time.
        of_all: of the whole service.
    """

    def __init__(self) -> None:
        self.of_web: list[int] = []
        self.of_all: list[int] = []

    async def look(self) -> None:
        while True:
            web = everything = 0
            for process in psutil.Process().children(recursive=True):
                try:
                    took = process.memory_full_info().pss
                    everything += took
                    if "longscribe.web.server" in process.cmdline():
                        web += took
                except psutil.NoSuchProcess:
                    continue
            self.of_web.append(web)
            self.of_all.append(everything)
            await asyncio.sleep(5.0)


async def all_at_once(crowd: Crowd, memory: Memory, clips: list[Path], hours: list[Path]) -> None:
    looking = asyncio.create_task(memory.look())
    try:
        await crowd.ask_all(clips, hours)
    finally:
        looking.cancel()


def test_all_are_answered_once(service: Served, tmp_path: Path, note: Note) -> None:
    name, _ = service.web_login()
    database = Database(f"sqlite:///{service.folder / 'web.sqlite'}")
    with database.begin() as db:
        key = add_key(db, user_named(db, name), "crowd")
    database.close()
    (tmp_path / "sounds").mkdir()
    clips, hours = recordings(tmp_path / "sounds")
    (tmp_path / "nginx").mkdir()
    memory = Memory()
    with Proxy(tmp_path / "nginx", service) as proxy:
        crowd = Crowd(proxy, key)
        started_s = time.monotonic()
        asyncio.run(all_at_once(crowd, memory, clips, hours))
        took_s = time.monotonic() - started_s

    assert len(crowd.texts) == CLIPS + HOURS
    assert sum(len(crowd.texts[path.name].split()) > 5 for path in clips) >= 0.98 * CLIPS
    # A reader says some 150 words in a minute.
    assert all(len(crowd.texts[path.name].split()) > 2 * HOUR_S for path in hours)
    runs: list[dict[str, Any]] = []
    while page := service.ask(
        "flow_runs/filter", flows={"name": {"any_": ["transcribe"]}}, offset=len(runs)
    ):
        runs += page
    assert Counter((run["state_type"], run["run_count"]) for run in runs) == {
        ("COMPLETED", 1): CLIPS + HOURS
    }
    at_first, at_most = memory.of_web[1], max(memory.of_web)
    clip_s, upload_s, hour_s = (np.sort(crowd.times_s[kind]) for kind in crowd.times_s)
    note(f"{CLIPS} clips and {HOURS} of {HOUR_S:.0f} s at once", f"{took_s:.0f} s")
    note("uploads of the long ones", f"{np.median(upload_s):.1f} s, {upload_s[-1]:.1f} at most")
    note(
        "clips answered after",
        f"{clip_s[0]:.1f} to {clip_s[-1]:.1f} s, half of them within {np.median(clip_s):.0f}",
    )
    note("long ones done after", f"{hour_s[0]:.0f} to {hour_s[-1]:.0f} s")
    note("the web application's memory", f"{at_first / 1e6:.0f} MB, {at_most / 1e6:.0f} at most")
    note("the whole service's memory", f"{max(memory.of_all) / 1e6:.0f} MB at most")
    assert at_most - at_first < MOST_GROWN_BYTES
