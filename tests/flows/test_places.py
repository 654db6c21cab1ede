"""Recordings that come from elsewhere and transcripts that go there, through the whole flow."""

import json
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import fsspec
import pytest

from longscribe.errors import OptionError
from longscribe.flows.transcribe import transcribe
from tests.flows.conftest import Ran
from tests.longscribe.file_servers import s3_server, sftp_server
from tests.longscribe.servers import content, serving
from tests.recordings import SYNTHETIC, write_beginning


def test_from_the_web_into_a_bucket(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("LONGSCRIBE_PRIVATE_HOSTS", "127.0.0.1")
    # Named as the run's own file in its scratch folder.
    spoken = write_beginning(tmp_path, duration_s=24.0).read_bytes()
    with serving({"/talks/samples.pcm": content(spoken)}) as (url, _):
        summary: Any = transcribe(
            recording=f"{url}/talks/samples.pcm?signature=1",
            model="demo",
            output_dir="memory://transcripts",
            formats=["txt", "json"],
        )
    assert summary.files == (
        "memory://transcripts/samples/samples.txt",
        "memory://transcripts/samples/samples.json",
    )
    memory = fsspec.filesystem("memory")
    written = json.loads(memory.cat_file("/transcripts/samples/samples.json"))
    assert written["longscribe"]["recording"] == "samples.pcm"
    assert "heavy report on Monday" in written["text"]
    assert sorted(map(str, tmp_path.glob("longscribe-*"))) == []


@pytest.mark.service
def test_from_a_bucket_to_another_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with (
        s3_server(monkeypatch) as bucket,
        sftp_server(tmp_path, monkeypatch) as machine,
    ):
        s3 = fsspec.filesystem("s3")
        s3.put_file(str(SYNTHETIC), f"{bucket}/in/talk.opus")
        summary: Any = transcribe(
            recording=f"{bucket}/in/talk.opus",
            model="demo",
            output_dir=f"{machine}/transcripts",
            formats=["txt", "srt"],
        )
    assert summary.files == tuple(
        f"{machine}/transcripts/talk/talk.{kind}" for kind in ("txt", "srt")
    )
    text = (tmp_path / "served" / "shared" / "transcripts" / "talk" / "talk.txt").read_text(
        encoding="utf-8"
    )
    assert "heavy report on Monday" in text


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["http://127.0.0.1:1/a.wav"], "is not a public address"),
        (["http://[/a.wav"], "is not a valid URL"),
        (["file:///etc/passwd"], "is not a kind of URL that can be used"),
        ([str(SYNTHETIC), "-o", "https://example.org/"], "is a web address"),
        pytest.param(
            [str(SYNTHETIC), "-o", "az://bucket/out"],
            "pip install 'longscribe[az]'",
            marks=pytest.mark.skipif(bool(find_spec("adlfs")), reason="adlfs is installed"),
        ),
    ],
)
def test_bad_places_are_refused_with_one_sentence(
    longscribe: Callable[..., Ran], arguments: list[str], words: str
) -> None:
    ran = longscribe(*arguments, "--model", "demo")
    assert ran.code == 2
    assert words in ran.err
    assert ran.err.count("\n") == 1
    assert not list(Path().iterdir())


def test_a_worker_without_media_roots_runs_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("longscribe.tasks.access.is_deployment_s", lambda: True)
    with pytest.raises(OptionError, match="LONGSCRIBE_MEDIA_ROOTS is not set"):
        transcribe(recording=str(SYNTHETIC), model="demo")
