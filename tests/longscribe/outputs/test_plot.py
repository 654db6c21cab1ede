"""The picture of a run: it is valid SVG, says what happened, and nothing in it can run."""

import xml.etree.ElementTree as ElementTree
from io import BytesIO
from pathlib import Path

import av
import pytest

from longscribe.monitoring.resources import ProcessSample, ResourceSample
from longscribe.monitoring.run_record import Attempt, ChunkRow, RunRecord
from longscribe.outputs.formats import write_transcript
from longscribe.outputs.plot.plot import as_png, plot
from longscribe.transcript import Stretch, Transcript
from tests.segments import segment, transcript

SVG = "{http://www.w3.org/2000/svg}"
HOSTILE = "</text><script>alert(1)</script>\x00&\ud800"


def said(**values: object) -> Transcript:
    stretches = (
        Stretch(0.0, 500.0, "speech"),
        Stretch(500.0, 560.0, "silence"),
        Stretch(560.0, 560.5, "gap", "chunk failed: <b>"),
        Stretch(560.5, 600.0, "silence"),
    )
    spoken = segment(0.0, 500.0, " Hello.")
    return transcript(
        spoken, **{"stretches": stretches, "duration_s": 600.0, "seams_s": (300.0,), **values}
    )


def ran() -> RunRecord:
    rows = (
        ChunkRow(0, "1 of 2", "0:00:00-0:05:00", 0.0, 300.0, "done", seconds=9.0, words=4, pid=7),
        ChunkRow(1, "2 of 2", "0:05:00-0:10:00", 300.0, 600.0, "done", seconds=9.0, pid=9),
    )
    attempts = (
        *(Attempt(0, 7, 1.0, 10.0, True), Attempt(1, 8, 1.0, 4.0, False)),
        Attempt(1, 9, 11.0, 20.0, True),
    )
    samples = tuple(
        ResourceSample(float(s), (ProcessSample(7, 90.0, 7 * 10**8),), 110.0, 9 * 10**8)
        for s in range(1, 20)
    )
    return RunRecord(
        chunks=rows, attempts=attempts, samples=samples, workers=2, cores=2, seconds=21.0
    )


def classes(root: ElementTree.Element) -> list[str]:
    return [node.get("class", "") for node in root.iter()]


def test_chunks_over_workers_with_cpu_memory_silence_and_gaps() -> None:
    root = ElementTree.fromstring(plot(said(), ran()))
    texts = [node.text or "" for node in root.iter() if node.tag in (f"{SVG}text", f"{SVG}title")]
    for wanted in ("Workers", "CPU", "Memory", "Recording", "pid 7", "pid 8", "pid 9"):
        assert wanted in texts
    assert any(text.startswith("chunk 1 of 2, 0:00:00-0:05:00, 9.0 s, 33.3 x") for text in texts)
    assert any(text.endswith("lost with its worker") for text in texts)
    assert "silence and 1 gap marked, lines where it was cut" in "".join(root.itertext())
    found = classes(root)
    assert (found.count("lost"), found.count("seam"), found.count("all")) == (1, 1, 2)
    # Half a second of 600 is narrower than the picture's unit, and yet to be seen.
    assert found.count("gap") == 2  # with the legend's
    [bar] = [n for n in root.iter(f"{SVG}rect") if n.get("class") == "lost"]
    done = [n for n in root.iter(f"{SVG}rect") if n.get("class") == "done"]
    assert float(bar.get("x", 0)) == float(done[0].get("x", 1))
    assert float(done[1].get("x", 0)) > float(done[0].get("x", 0)) + float(done[0].get("width", 0))


def test_a_run_that_kept_everything_shows_the_recording_only() -> None:
    kept = RunRecord(
        chunks=tuple(row._replace(outcome="kept") for row in ran().chunks), cores=2, seconds=0.1
    )
    text = plot(said(), kept)
    ElementTree.fromstring(text)
    assert "2 of them kept from an earlier run" in text
    assert "Memory" not in text


def test_ten_hours_stay_small() -> None:
    stretches = tuple(
        Stretch(2.0 * n, 2.0 * n + 2.0, ("speech", "silence")[n % 2]) for n in range(18_000)
    )
    text = plot(said(stretches=stretches, duration_s=36_000.0), ran())
    assert len(text) < 300_000
    last = [n for n in ElementTree.fromstring(text).iter(f"{SVG}text") if n.text == "10:00:00"]
    assert [n.get("text-anchor") for n in last] == ["end"]  # in the middle it would be cut off


def test_hostile_names_are_inert() -> None:
    text = plot(said(recording=HOSTILE), ran())
    root = ElementTree.fromstring(text)
    assert not list(root.iter(f"{SVG}script"))
    assert "<script" not in text
    assert "&lt;script&gt;" in text


@pytest.mark.parametrize("format_", ["report", "report-png"])
def test_it_is_written_with_the_other_files(tmp_path: Path, format_: str) -> None:
    [file] = write_transcript(said(), tmp_path, "talk", [format_], record=ran())
    assert file.name == {"report": "talk.report.svg", "report-png": "talk.report.png"}[format_]
    assert file.stat().st_size > 2000


def test_png_is_a_picture() -> None:
    with av.open(BytesIO(as_png(plot(said(), ran())))) as picture:
        frame = next(picture.decode(video=0))
    assert frame.width == 2000
    colours = {tuple(pixel) for row in frame.to_ndarray(format="rgb24")[::7] for pixel in row[::7]}
    assert {(255, 255, 255), (0x44, 0x77, 0xAA)} <= colours
