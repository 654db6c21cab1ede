import errno
import io
import json
import os
from dataclasses import asdict
from pathlib import Path

import pysubs2
import pytest
from docx import Document
from whisper.utils import get_writer

from longscribe.errors import OutputError, ResourceError
from longscribe.options import FORMATS, Format, SubtitleRules
from longscribe.outputs.formats import (
    check_writable,
    output_name,
    render,
    write_transcript,
    written_duration_s,
)
from longscribe.transcript import SOUND_WITHOUT_TEXT, Stretch, Transcript, Word
from tests.segments import segment, transcript

SAID = transcript(
    segment(0.0, 2.5, " Hello --> you."),
    segment(2.5, 61.239, " A\ttab, olá."),
    segment(3661.0, 36_000.4996, " Much later."),
)


def rendered(said: Transcript, format_: Format) -> str:
    return "".join(render(said, format_))


@pytest.mark.parametrize("format_", ["txt", "srt", "vtt", "tsv"])
def test_without_rules_files_are_upstream_s_byte_for_byte(format_: Format, tmp_path: Path) -> None:
    expected = io.StringIO()
    result = {"segments": [asdict(s) for s in SAID.segments]}
    get_writer(format_, str(tmp_path)).write_result(
        {"segments": [{k: v for k, v in s.items() if k != "words"} for s in result["segments"]]},
        file=expected,
    )
    assert "".join(render(SAID, format_, SubtitleRules(max_line_chars=0))) == expected.getvalue()


def test_json_has_upstream_s_keys_and_values() -> None:
    written = json.loads(rendered(SAID, "json"))
    assert written["text"] == SAID.text
    assert written["language"] == "en"
    assert list(written["segments"][0]) == [
        *("id", "seek", "start", "end", "text", "tokens", "temperature"),
        *("avg_logprob", "compression_ratio", "no_speech_prob"),
        "language",  # ours
    ]
    assert written["segments"][2]["start"] == 3661.0


def test_an_empty_transcript_is_valid_everywhere() -> None:
    nothing = transcript()
    assert rendered(nothing, "txt") == rendered(nothing, "srt") == ""
    assert rendered(nothing, "vtt") == "WEBVTT\n\n"
    assert json.loads(rendered(nothing, "json"))["segments"] == []
    assert json.loads(rendered(nothing, "words"))["words"] == []
    assert len(pysubs2.SSAFile.from_string(rendered(nothing, "ass"))) == 0
    assert rendered(nothing, "md").startswith("# a.wav")
    assert rendered(nothing, "lrc").startswith("[ti:a.wav]")


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


@pytest.mark.parametrize("format_", [f for f in FORMATS if f not in ("report-png", "rttm")])
def test_lost_audio_is_marked_in_every_format(format_: Format, tmp_path: Path) -> None:
    lost = Stretch(2.5, 60.0, "gap", "chunk failed")
    said = transcript(SAID.segments[0], SAID.segments[2], stretches=(lost,))
    [file] = write_transcript(said, tmp_path, "talk", [format_])
    content = file.read_bytes()
    if format_ == "docx":
        content = "\n".join(p.text for p in Document(str(file)).paragraphs).encode()
    assert b"chunk failed" in content


def test_words_carry_their_times_and_add_up_to_the_text() -> None:
    words = (Word(" Hello", 0.1, 0.5, 0.9), Word(" you", 0.7, 1.0, 0.4))
    said = transcript(segment(0.0, 1.0, " Hello you", words=words), segment(1.0, 2.0, " Not timed"))
    written = json.loads(rendered(said, "words"))
    assert [word["word"] for word in written["words"]] == ["Hello", "you", "Not", "timed"]
    first = {"word": "Hello", "start": 0.1, "end": 0.5, "probability": 0.9, "segment": 0}
    assert written["words"][0] == first
    assert [word["probability"] for word in written["words"]] == [0.9, 0.4, None, None]
    assert written["words"][3]["end"] == 2.0


def test_line_breaks_in_a_text_break_no_format() -> None:
    said = transcript(segment(0.0, 1.0, " one\n\n2\n00:00:09,000 --> 00:00:10,000\r\nfaked"))
    assert len(rendered(said, "txt").splitlines()) == 1
    assert len(rendered(said, "tsv").splitlines()) == 2
    for format_ in ("srt", "vtt"):
        assert len(rendered(said, format_).split("\n\n")) == (2 if format_ == "srt" else 3)
        assert rendered(said, format_).count("-->") == 1


def test_all_files_appear_at_once_under_the_recording_s_name(tmp_path: Path) -> None:
    files = write_transcript(SAID, tmp_path / "talk", "talk", FORMATS)
    own = {"words": "words.json", "report": "report.svg", "report-png": "report.png"}
    suffixes = [own.get(f, f) for f in FORMATS]
    assert [file.name for file in files] == [f"talk.{suffix}" for suffix in suffixes]
    assert sorted(p.name for p in (tmp_path / "talk").iterdir()) == sorted(f.name for f in files)


def test_what_a_folder_holds_already_is_told_by_its_duration(tmp_path: Path) -> None:
    assert written_duration_s(tmp_path, "talk") is None
    write_transcript(SAID, tmp_path, "talk", ["json"])
    assert written_duration_s(tmp_path, "talk") == SAID.duration_s
    (tmp_path / "talk.json").write_text("{}")
    assert written_duration_s(tmp_path, "talk") is None


def test_a_full_disk_leaves_the_old_files_and_no_temporary_ones(
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
