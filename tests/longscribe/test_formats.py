import errno
import io
import json
import os
from dataclasses import asdict
from pathlib import Path

import pytest
from whisper.utils import get_writer

from longscribe.errors import OutputError, ResourceError
from longscribe.formats import check_writable, output_name, render, write_transcript
from longscribe.options import FORMATS, Format
from longscribe.transcript import SOUND_WITHOUT_TEXT, Stretch, Transcript
from tests.segments import segment, transcript

SAID = transcript(
    segment(0.0, 2.5, " Hello --> you."),
    segment(2.5, 61.239, " A\ttab, olá."),
    segment(3661.0, 36_000.4996, " Much later."),
)


def rendered(said: Transcript, format_: Format) -> str:
    return "".join(render(said, format_))


@pytest.mark.parametrize("format_", ["txt", "srt", "vtt", "tsv"])
def test_files_are_upstream_s_byte_for_byte(format_: Format, tmp_path: Path) -> None:
    expected = io.StringIO()
    result = {"segments": [asdict(s) for s in SAID.segments]}
    get_writer(format_, str(tmp_path)).write_result(
        {"segments": [{k: v for k, v in s.items() if k != "words"} for s in result["segments"]]},
        file=expected,
    )
    assert rendered(SAID, format_) == expected.getvalue()


def test_json_has_upstream_s_keys_and_values() -> None:
    written = json.loads(rendered(SAID, "json"))
    assert written["text"] == SAID.text
    assert written["language"] == "en"
    assert list(written["segments"][0]) == [
        *("id", "seek", "start", "end", "text", "tokens", "temperature"),
        *("avg_logprob", "compression_ratio", "no_speech_prob"),
    ]
    assert written["segments"][2]["start"] == 3661.0


def test_an_empty_transcript_is_valid_everywhere() -> None:
    nothing = transcript()
    assert rendered(nothing, "txt") == rendered(nothing, "srt") == ""
    assert rendered(nothing, "vtt") == "WEBVTT\n\n"
    assert json.loads(rendered(nothing, "json"))["segments"] == []


def test_lost_audio_is_marked_and_music_is_not() -> None:
    stretches = (
        Stretch(start=2.5, end=60.0, kind="gap", reason="chunk failed"),
        Stretch(start=61.0, end=70.0, kind="gap", reason=SOUND_WITHOUT_TEXT),
    )
    said = transcript(SAID.segments[0], SAID.segments[2], stretches=stretches)
    assert rendered(said, "txt").splitlines()[1] == "[gap: chunk failed]"
    assert len(rendered(said, "txt").splitlines()) == 3
    assert "\n2\n00:00:02,500 --> 00:01:00,000\n[gap: chunk failed]\n" in rendered(said, "srt")
    assert len(json.loads(rendered(said, "json"))["longscribe"]["stretches"]) == 2


def test_all_files_appear_at_once_under_the_recording_s_name(tmp_path: Path) -> None:
    files = write_transcript(SAID, tmp_path / "talk", "talk", FORMATS)
    assert [file.name for file in files] == [f"talk.{format_}" for format_ in FORMATS]
    assert sorted(p.name for p in (tmp_path / "talk").iterdir()) == sorted(f.name for f in files)


def test_a_full_disk_leaves_the_old_files_and_no_drafts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_transcript(SAID, tmp_path, "talk", ["txt"])
    before = (tmp_path / "talk.txt").read_text()

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(ResourceError, match="is full"):
        write_transcript(transcript(), tmp_path, "talk", FORMATS)
    assert [p.name for p in tmp_path.iterdir()] == ["talk.txt"]
    assert (tmp_path / "talk.txt").read_text() == before


def test_a_folder_that_cannot_be_written_is_found_out_first(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="--output-dir"):
        check_writable(tmp_path / "file" / "below")
    check_writable(tmp_path / "new" / "folder")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize(
    ("recording", "name"),
    [
        ("a/talk.mp3", "talk"),
        ("talk.2026.11.22.mp3", "talk.2026.11.22"),
        ("a\nb.wav", "a_b"),
        (".hidden", ".hidden".strip(".")),
        ("🎙 it's.wav", "🎙 it's"),
        ("...wav", "wav"),
        ("é" * 150 + ".wav", "é" * 100),
    ],
)
def test_output_names(recording: str, name: str) -> None:
    assert output_name(Path(recording)) == name
