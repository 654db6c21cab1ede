"""Two hundred clips at once, twenty long recordings: each answered once, memory stays flat."""

import asyncio
import subprocess
import sys
import time
import wave
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
import pytest

from tests.deployments.served import wait_for
from tests.ports import free_port
from tests.sounds import wav_bytes

pytestmark = [pytest.mark.many, pytest.mark.timeout(900)]
PROJECT = Path(__file__).resolve().parents[3]
LONG_S = 3600.0  # 115 MB each
LARGEST_GROWTH_BYTES = 150_000_000


class Served:
    """A process of the application, with a key for it."""

    def __init__(self, folder: Path) -> None:
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        script = PROJECT / "tests" / "longscribe" / "web" / "served_application.py"
        self.process = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "tests.longscribe.web.served_application",
                str(folder),
                str(port),
            ],
            cwd=script.parents[3],
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout is not None
        self.headers = {"authorization": f"Bearer {self.process.stdout.readline().strip()}"}
        wait_for(self._answers, 60)

    def _answers(self) -> bool:
        try:
            return httpx.get(f"{self.url}/health").is_success
        except httpx.TransportError:
            return False

    @property
    def memory_bytes(self) -> int:
        return int(psutil.Process(self.process.pid).memory_info().rss)


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    served = Served(tmp_path)
    yield served
    served.process.terminate()
    served.process.communicate(timeout=60)


async def send(served: Served, client: httpx.AsyncClient, name: str, sound: bytes | Path) -> str:
    """Send a recording; the identifier of its job."""
    content = sound.read_bytes() if isinstance(sound, Path) else sound
    answer = await client.post(
        f"{served.url}/v1/audio/transcriptions",
        headers=served.headers,
        files={"file": (name, content)},
        data={"model": "whisper-1", "prompt": name},
    )
    assert answer.status_code == 200, answer.text
    assert answer.json()["text"].startswith("Good morning")
    return str(answer.headers["x-request-id"])


def test_two_hundred_clips_at_once(served: Served) -> None:
    clip = wav_bytes(5.0)

    async def all_of_them() -> list[str]:
        limits = httpx.Limits(max_connections=200)
        async with httpx.AsyncClient(timeout=300, limits=limits) as client:
            return await asyncio.gather(
                *(send(served, client, f"clip {n}.wav", clip) for n in range(200))
            )

    before, started_s = served.memory_bytes, time.monotonic()
    jobs = asyncio.run(all_of_them())
    took_s, growth = time.monotonic() - started_s, served.memory_bytes - before
    print(f"\n200 clips: {took_s:.1f} s, memory {before / 1e6:.0f} + {growth / 1e6:.0f} MB")
    assert len(set(jobs)) == 200
    assert growth < LARGEST_GROWTH_BYTES


def test_twenty_recordings_of_an_hour(served: Served, tmp_path: Path) -> None:
    recording = tmp_path / "hour.wav"
    with wave.open(str(recording), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(16_000)
        for _ in range(60):
            file.writeframes(bytes(round(32_000 * LONG_S / 60)))

    def upload(number: int) -> subprocess.Popen[str]:
        form = [f"file=@{recording};filename=hour {number}.wav", "model=whisper-1"]
        form += [f"prompt={number}"]
        fields = [word for field in form for word in ("-F", field)]
        key = f"authorization: {served.headers['authorization']}"
        url = f"{served.url}/v1/audio/transcriptions"
        return subprocess.Popen(
            ["curl", "-sS", "-H", key, *fields, url], stdout=subprocess.PIPE, text=True
        )

    before, started_s, most = served.memory_bytes, time.monotonic(), 0
    uploads = [upload(number) for number in range(20)]
    while any(one.poll() is None for one in uploads):
        most = max(most, served.memory_bytes)
        time.sleep(0.1)
    took_s = time.monotonic() - started_s
    print(f"\n20 x 115 MB: {took_s:.1f} s, memory {before / 1e6:.0f} to {most / 1e6:.0f} MB")
    for one in uploads:
        assert "Good morning" in one.communicate()[0]
    assert most - before < LARGEST_GROWTH_BYTES
