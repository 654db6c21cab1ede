"""Voices told apart by community-1, which a made package plays in real workers."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from longscribe.flows.transcribe import transcribe
from tests.flows.conftest import Ran
from tests.flows.test_command_line import refused, sound
from tests.longscribe.models.hub_server import use_hub
from tests.longscribe.speakers.made_pyannote import calls, write_pipeline, write_pyannote
from tests.recordings import write_beginning


@pytest.fixture(autouse=True)
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_pyannote(tmp_path / "packages", monkeypatch)


def options(folder: Path, pipeline: str) -> dict[str, Any]:
    return {
        "recording": str(write_beginning(folder)),
        "model": "demo",
        "output_dir": str(folder / "out"),
        "formats": ["json"],
        "speakers": "2-3",
        "speaker_names": ["Ana"],
        "diarization_model": pipeline,
    }


def segments(folder: Path) -> list[dict[str, Any]]:
    found = json.loads((folder / "out" / "synthetic" / "synthetic.json").read_text())
    return list(found["segments"])


def test_a_recording_is_heard_as_a_whole_beside_the_chunks_and_kept(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    pipeline = write_pipeline(tmp_path / "copy", [(0.0, 10.0, "B"), (10.0, 900.0, "A")])
    summary: Any = transcribe(**options(tmp_path, pipeline))
    assert "Voices are told apart by community-1" in caplog.text
    assert set(summary.speakers) == {"Ana", "SPEAKER_01"}
    for segment in segments(tmp_path):
        assert (segment["speaker"] == "Ana") == (segment["start"] + segment["end"] < 20.0)
    assert calls(pipeline) == ["{'min_speakers': 2, 'max_speakers': 3} false"]

    caplog.clear()
    again: Any = transcribe(**options(tmp_path, pipeline))
    assert again.speakers == summary.speakers
    assert "Voices in 1 of 1 parts are kept from an earlier run" in caplog.text
    assert len(calls(pipeline)) == 1


def test_a_failure_costs_the_speakers_and_not_the_text(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    pipeline = write_pipeline(tmp_path / "copy", fails="out of memory")
    summary: Any = transcribe(**options(tmp_path, pipeline))
    assert (summary.failed_chunks, summary.speakers) == (0, {})
    assert "cannot be told: RuntimeError: out of memory" in caplog.text
    assert segments(tmp_path)
    assert not any(segment.get("speaker") for segment in segments(tmp_path))
    assert len(calls(pipeline)) == 4  # it was tried again, as a chunk is


def test_what_cannot_be_used_is_refused_in_a_sentence(
    longscribe: Callable[..., Ran], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_hub("http://127.0.0.1:9", tmp_path / "home", monkeypatch)
    given = (sound("a.wav"), "--model", "demo", "--speakers", "auto", "--diarization-model")
    refused(longscribe(*given, "pyannote"), "--diarization-model: there are no networks 'pyannote'")
    refused(longscribe(*given, "./nowhere"), "--diarization-model: nowhere does not hold")
    refused(longscribe(*given, "community-1"), "--diarization-model: the model", "(no connection)")
    known = longscribe(*given, "community-1", "--known-voices")
    refused(known, "--known-voices: voices are enrolled by the built-in networks")
    alone = longscribe(sound("b.wav"), "--model", "demo", "--diarization-model", "community-1")
    refused(alone, "--diarization-model: it is for --speakers auto, a number or a range")
    monkeypatch.setattr("importlib.util.find_spec", lambda *_: None)
    refused(longscribe(*given, "community-1"), "pip install 'longscribe[community]'")
