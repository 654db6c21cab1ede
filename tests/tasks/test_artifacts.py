"""A run in the Prefect UI: what its artifacts hold, and that they never hold it up."""

import json
import time
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from prefect import flow
from prefect.client.orchestration import get_client
from prefect.runtime import flow_run

from longscribe.monitoring.events import RunStatus, WorkerStatus
from longscribe.monitoring.run_record import ChunkRow, RunRecord
from longscribe.tasks import artifacts
from longscribe.tasks.artifacts import RunArtifacts, slug
from longscribe.tasks.show_outcome import show_outcome
from longscribe.transcript import Stretch
from tests.eventually import eventually
from tests.segments import segment, transcript

HOSTILE = "<script>alert(1)</script> [x](javascript:alert(2)) *b*"
STATUS = RunStatus(
    *(40.0, 2, 7, 31.0, 75.0, 120.5, 190.0, 1_700_000_000),
    workers=(
        WorkerStatus(4711, "3 of 7", "0:20:00-0:30:00", 12.0, 0.5, 61.2, 98.0, 670_000_000),
        WorkerStatus(4712, rss_bytes=500_000_000),
    ),
)
ROWS = (
    ChunkRow(
        *(0, "1 of 2", "0:00:00-0:01:00", 0.0, 60.0, "done"),
        seconds=6.0,
        segments=3,
        words=20,
        language="en",
        fallbacks=1,
        attempts=2,
        cpu_percent=98.0,
        peak_memory_bytes=700_000_000,
        pid=7,
    ),
    ChunkRow(1, "2 of 2", "0:01:00-0:02:00", 60.0, 120.0, "failed", HOSTILE, attempts=3),
)


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A busy machine's server takes its time."""
    monkeypatch.setattr(artifacts, "_LAST_WITHIN_S", 60.0)
    monkeypatch.setattr(artifacts, "_ANSWER_WITHIN_S", 30.0)
    monkeypatch.setattr(artifacts, "pause_s", lambda elapsed_s: 0.1)


@flow
def shown(name: str, files: list[Path], recording: str = "Town hall.wav") -> str:
    said = transcript(
        *(segment(2.0 * n, 2.0 * n + 2.0, f" {HOSTILE} {n}.") for n in range(500)),
        recording=recording,
        model="demo",
        stretches=(Stretch(0.0, 990.0, "speech"), Stretch(990.0, 1000.0, "gap", HOSTILE)),
    )
    with RunArtifacts(name, flow_run.id) as shows:
        shows.show_progress(STATUS)
        shows.show_chunks(ROWS)
        assert eventually(lambda: "chunks" in shows._ids or shows._failed, bool, within_s=60.0)
        shows.show_progress(STATUS._replace(done=7, left_s=0.0))
        show_outcome(shows, said, RunRecord(chunks=ROWS, workers=2, cores=2), files, files, 10.0)
    return str(flow_run.id)


def found(run_id: str) -> dict[str, Any]:
    with get_client(sync_client=True) as client:
        response = client._client.post("/artifacts/filter", json={"limit": 200})
    return {
        one["key"].partition("-")[0]: one
        for one in response.json()
        if str(one["flow_run_id"]) == run_id
    }


def test_a_run_has_progress_chunks_transcript_summary_and_its_picture(tmp_path: Path) -> None:
    plot = tmp_path / "talk.report.svg"
    plot.write_text("<svg xmlns='http://www.w3.org/2000/svg'/>")
    seen = found(shown("talk", [plot], recording=HOSTILE))
    assert set(seen) == {"progress", "chunks", "transcript", "summary", "report"}
    assert all(one["key"] == f"{kind}-talk" for kind, one in seen.items())
    assert seen["progress"]["data"] == 100
    assert "7 of 7 chunks" in seen["progress"]["description"]
    first, second = json.loads(seen["chunks"]["data"])
    assert first == {
        "chunk": "1 of 2",
        "span": "0:00:00-0:01:00",
        "state": "done",
        "seconds": "6.0",
        "x real time": "10.0",
        "segments": 3,
        "words": 20,
        "language": "en",
        "fallbacks": 1,
        "attempts": 2,
        "CPU %": "98",
        "peak memory GB": "0.70",
        "worker": 7,
        "remark": "",
    }
    assert (second["state"], second["attempts"], second["seconds"]) == ("failed", 3, "")
    summary, text = seen["summary"]["data"], seen["transcript"]["data"]
    for words in ("100.0 x real time", "| model | demo |", "1 \\(10.0 s\\)", "1 failed, 3 retried"):
        assert words in summary
    assert plot.as_uri() in summary
    assert len(text) < 8000
    assert "the rest is in the files" in text
    for artifact in (summary, text):
        assert "<script" not in artifact.replace("\\<", "")
        assert "[x](" not in artifact.replace("\\[", "")
        assert "\\<script\\>" in artifact
    assert seen["report"]["data"].startswith("data:image/svg+xml;base64,")


def test_progress_has_a_line_for_each_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[str] = []
    monkeypatch.setattr(RunArtifacts, "_show", lambda *told: sent.append(told[4]))
    shows = RunArtifacts("*talk*", uuid4())
    shows.show_progress(STATUS)
    line, busy, idle = sent[0].split("\n\n")
    assert line.startswith("**\\*talk\\***: 2 of 7 chunks after 0:00:31, about 0:01:15 left")
    assert busy == (
        "worker 4711: chunk 3 of 7, 0:20:00-0:30:00, for 0:00:12, 61.2 x real time before; "
        "CPU 98 %, memory 0.67 GB"
    )
    assert idle == "worker 4712: idle; CPU 0 %, memory 0.50 GB"
    shows.show_progress(STATUS._replace(workers=STATUS.workers * 40))
    assert sent[1].endswith("\n\nand 16 more")
    shows.show_progress(STATUS._replace(done=7))
    assert "4711" not in sent[2]


def test_keys_are_a_recording_s_own_and_stay() -> None:
    assert slug("talk-2") == "talk-2"
    assert slug("Talk 2") == slug("Talk 2") != slug("talk 2")
    for name in ("Řeč.výboru", "会議", "-", "a" * 300, "A_b"):
        assert artifacts.ArtifactCreate(key=f"chunks-{slug(name)}").key


def test_a_server_that_refuses_artifacts_costs_one_warning(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def refuse(*_: object) -> None:
        raise ConnectionError("gone")

    monkeypatch.setattr(RunArtifacts, "_send_one", refuse)
    monkeypatch.setattr(artifacts, "_LAST_WITHIN_S", 15.0)
    started_s = time.monotonic()
    run_id = shown("quiet", [])
    assert time.monotonic() - started_s < 40.0
    assert found(run_id) == {}
    out, err = capfd.readouterr()
    assert (out + err).count("Artifacts cannot be shown at the moment (ConnectionError)") == 1


@pytest.mark.parametrize("fails", [False, True])
def test_a_run_s_artifacts_are_sent_by_one_client_until_it_fails(
    monkeypatch: pytest.MonkeyPatch, fails: bool
) -> None:
    """Making one costs more of the processor than what it sends."""
    made, sent, refused = [], [], []
    make, send_one = artifacts.get_client, RunArtifacts._send_one

    def making(**settings: Any) -> Any:
        made.append(settings)
        return make(**settings)

    def sending(*told: Any) -> None:
        if fails and not refused:
            refused.append(told)
            raise ConnectionError("gone")
        sent.append(told)
        send_one(*told)

    monkeypatch.setattr(artifacts, "get_client", making)
    monkeypatch.setattr(RunArtifacts, "_send_one", sending)
    run_id = shown("thrifty", [])
    assert len(made) == (2 if fails else 1)
    assert len(sent) >= (4 if fails else 5)  # what was sent in the midst of the run, and its end
    assert set(found(run_id)) == {"progress", "chunks", "transcript", "summary"}
