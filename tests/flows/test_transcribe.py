"""The whole chain on the synthetic samples, with real worker processes."""

import json
import os
import signal
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from prefect.settings import PREFECT_API_URL

from longscribe.errors import RecordingError
from longscribe.flows.transcribe import transcribe
from longscribe.options import DEFAULT_FORMATS
from longscribe.tasks.merge import merge
from longscribe.tasks.summary import RunSummary
from tests.flows.conftest import PROJECT
from tests.longscribe.audio.test_lanes import write_channels
from tests.longscribe.speakers.networks import write_networks
from tests.recordings import (
    RATE_HZ,
    SYNTHETIC,
    SYNTHETIC_PT,
    beginning,
    word_error_rate,
    write_beginning,
)


def text_of(summary: RunSummary) -> str:
    written = next(file for file in summary.files if file.suffix == ".txt")
    return written.read_text(encoding="utf-8").replace("\n", " ")


@pytest.fixture(scope="module")
def english(
    prefect_server: None, tmp_path_factory: pytest.TempPathFactory
) -> tuple[RunSummary, dict[str, Any]]:
    """The synthetic English sample at the default speed, in chunks of a minute on two workers."""
    folder = tmp_path_factory.mktemp("english")
    summary: Any = transcribe(
        recording=str(SYNTHETIC), model="demo", chunk_minutes=1.0, output_dir=str(folder)
    )
    return summary, json.loads(
        (folder / "synthetic" / "synthetic.json").read_text(encoding="utf-8")
    )


def test_the_sample_is_understood(english: tuple[RunSummary, dict[str, Any]]) -> None:
    summary, _ = english
    assert word_error_rate([text_of(summary)], end_s=summary.duration_s) <= 0.10
    assert summary.language == "en"
    suffixes = [*DEFAULT_FORMATS[:-1], "report.svg"]
    assert [file.name for file in summary.files] == [f"synthetic.{suffix}" for suffix in suffixes]
    assert summary.chunks >= 3
    assert summary.failed_chunks == 0


def test_segments_are_sorted_apart_and_where_they_were_said(
    english: tuple[RunSummary, dict[str, Any]],
) -> None:
    _, written = english
    segments = written["segments"]
    assert [s["id"] for s in segments] == list(range(len(segments)))
    assert all(a["end"] <= b["start"] for a, b in pairwise(segments))
    reference = json.loads(SYNTHETIC.with_suffix(".json").read_text(encoding="utf-8"))
    starts = [item["start"] for item in reference]
    near = [min(abs(s["start"] - start) for start in starts) for s in segments]
    assert sorted(near)[int(0.8 * len(near))] < 0.3


def test_every_second_is_accounted_for(english: tuple[RunSummary, dict[str, Any]]) -> None:
    summary, written = english
    stretches = written["longscribe"]["stretches"]
    assert stretches[0]["start"] == 0.0
    assert stretches[-1]["end"] == pytest.approx(summary.duration_s)
    assert all(a["end"] == b["start"] for a, b in pairwise(stretches))


def test_upstream_s_loop_detects_and_understands_portuguese(tmp_path: Path) -> None:
    to_a_pause_s = 124.7
    summary: Any = transcribe(
        recording=str(write_beginning(tmp_path, SYNTHETIC_PT, to_a_pause_s)),
        model="demo",
        decoding="sequential",
        speed=1.0,
        output_dir=str(tmp_path),
        workers=1,
    )
    assert summary.language == "pt"
    assert word_error_rate([text_of(summary)], SYNTHETIC_PT, to_a_pause_s) <= 0.15


def test_bad_input_fails_the_run_with_its_sentence() -> None:
    state: Any = transcribe(recording="nowhere.wav", model="demo", return_state=True)
    assert state.is_failed()
    assert state.message == "'nowhere.wav' does not exist; check the path."
    with pytest.raises(RecordingError):
        transcribe(recording="nowhere.wav", model="demo")


def command(folder: Path, *arguments: str) -> dict[str, Any]:
    """How to start the real command, as a user does, on the tests' server."""
    return {
        "args": [sys.executable, "-m", "longscribe.flows.command_line", *arguments],
        "cwd": folder,
        "env": {
            **os.environ,
            "PREFECT_API_URL": str(PREFECT_API_URL.value()),
            "PYTHONPATH": str(PROJECT),
        },
        "text": True,
    }


def test_a_good_run_says_what_was_promised_and_nothing_on_stderr(tmp_path: Path) -> None:
    ran = subprocess.run(
        **command(
            *(tmp_path, str(write_beginning(tmp_path)), "--model", "demo", "--workers", "1"),
            *("--formats", "txt", "--print", "--fresh"),
        ),
        capture_output=True,
        timeout=250,
    )
    assert (ran.returncode, ran.stderr) == (0, "")
    order = [
        *("Loading model demo", "Model demo loaded", "worker(s) x", "Accelerating"),
        *("Original duration", "Chunk length 600 s", "Chunk 1 of 1 started", "Chunk 1 of 1 done"),
        *("progress 100 % (1/1)", "Merged", "Improved", "Wrote", "Done in", "[00:0"),
    ]
    places = [ran.stdout.index(words) for words in order]
    assert places == sorted(places)
    # Folders and addresses may be as long as they are.
    ours = [line for line in ran.stdout.splitlines() if " /" not in line and "://" not in line]
    assert [line for line in ours if len(line) > 100] == []


@pytest.mark.parametrize(("how", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_stopped_run_leaves_nothing_behind(
    tmp_path: Path, how: signal.Signals, code: int
) -> None:
    slow = ("--model", "demo", "--chunk-minutes", "0.5", "--speed", "0.5")
    errors = (tmp_path / "errors").open("w+")
    with (
        errors,
        subprocess.Popen(
            **command(tmp_path, str(SYNTHETIC), *slow),
            # A script's background jobs ignore SIGINT and pass that on.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
            stdout=subprocess.PIPE,
            stderr=errors,
            start_new_session=True,
        ) as run,
    ):
        try:
            assert run.stdout is not None
            lines = iter(run.stdout)
            assert any(" started: " in line for line in lines)
            workers = psutil.Process(run.pid).children(recursive=True)
            os.killpg(run.pid, how)  # as a terminal does: the workers get it too
            _, alive = psutil.wait_procs(workers, timeout=30)
            assert not alive
            assert run.wait(60) == code
        finally:
            run.kill()
        errors.seek(0)
        assert errors.read().strip() in ("", "longscribe: stopped")
    assert not (tmp_path / "transcripts").exists()
    assert not list(tmp_path.glob("longscribe-*"))


def test_channels_are_one_dialogue_and_kept_each(tmp_path: Path) -> None:
    samples = beginning(duration_s=40.0)
    early = np.where(np.arange(len(samples)) < 20 * RATE_HZ, samples, 0.0)
    silent = np.zeros_like(samples)
    desk = write_channels(tmp_path / "desk.wav", early, samples - early, silent, silent)
    options = {
        "recording": str(desk),
        "model": "demo",
        "output_dir": str(tmp_path / "out"),
        "formats": ["json", "txt"],
        "speakers": "channels",
        "speaker_names": ["Ana", "Bo"],
    }
    summary: Any = transcribe(**options)
    assert summary.kept_chunks == 0
    assert set(summary.speakers) == {"Ana", "Bo"}
    assert summary.chunks == 2  # none of what is silent
    again: Any = transcribe(**options)
    assert (again.kept_chunks, again.chunks) == (2, 2)
    segments = json.loads((tmp_path / "out" / "desk" / "desk.json").read_text())["segments"]
    assert {s["speaker"] for s in segments if s["end"] < 19.0} == {"Ana"}
    assert {s["speaker"] for s in segments if s["start"] > 21.0} == {"Bo"}
    assert {word["speaker"] for s in segments for word in s["words"]} == {"Ana", "Bo"}


def test_voices_are_told_apart_beside_the_chunks_and_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    weights = write_networks(tmp_path)
    monkeypatch.setattr("longscribe.speakers.diarizer.find_weights", lambda: weights)
    options = {
        "recording": str(write_beginning(tmp_path)),
        "model": "demo",
        "output_dir": str(tmp_path / "out"),
        "formats": ["json", "rttm"],
        "speakers": "auto",
        "speaker_names": ["Ana"],
    }
    summary: Any = transcribe(**options)
    assert list(summary.speakers) == ["Ana"]
    assert 0.5 * summary.duration_s < summary.speakers["Ana"] <= summary.duration_s
    found = tmp_path / "out" / "synthetic"
    segments = json.loads((found / "synthetic.json").read_text())["segments"]
    assert {s["speaker"] for s in segments} == {"Ana"}
    assert (found / "synthetic.rttm").read_text().startswith("SPEAKER synthetic 1 ")
    caplog.clear()
    again: Any = transcribe(**options)
    assert again.speakers == summary.speakers
    assert "Voices in 1 of 1 parts are kept from an earlier run" in caplog.text
    assert "Heard the voices" not in caplog.text


def test_a_fresh_run_that_is_retried_goes_on_with_its_own_chunks(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    failures = [OSError("the disk is gone")]

    def merge_at_last(*arguments: Any) -> Any:
        if failures:
            raise failures.pop()
        return merge(*arguments)

    monkeypatch.setattr("longscribe.flows.transcribe.merge", merge_at_last)
    options = {
        "recording": str(write_beginning(tmp_path)),
        "model": "demo",
        "output_dir": str(tmp_path / "out"),
        "formats": ["txt"],
        "chunk_minutes": 0.5,
        "fresh": True,
    }
    # As a state: in the same process, Prefect 3.8 raises the error of the first start all the same.
    state: Any = transcribe.with_options(retries=1)(**options, return_state=True)
    summary = state.result()
    assert summary.kept_chunks == summary.chunks >= 2
    again: Any = transcribe(**options)
    assert again.kept_chunks == 0
