import json
from pathlib import Path

import pytest

from benchmarks.contestant import Segment
from benchmarks.contestants import REAL_NAMES, contestant_named
from benchmarks.real import WHOLE_COMMANDS, Models, plan
from benchmarks.real_recordings import (
    AUTO,
    SPEECH_FOLDER,
    RealRecording,
    Utterance,
    available_recordings,
    read_utterances,
)
from benchmarks.real_scores import boundary_errors, language_errors, score, words_outside
from benchmarks.real_table import (
    Result,
    Trial,
    append_result,
    markdown_table,
    read_results,
    report,
    rows_of,
    still_to_run,
    whole_commands_table,
)
from longscribe.text.word_errors import WordErrors

# whisper/normalizers/english.py leaves its list of spellings to the garbage collector.
pytestmark = pytest.mark.filterwarnings("ignore:unclosed file .*english.json:ResourceWarning")

MOST_BYTES = 15_000_000
UTTERANCES = (
    Utterance(0.5, 4.0, "Good morning.", "en"),
    Utterance(10.0, 14.0, "How are you?", "en"),
)
RECORDING = RealRecording("lj001_a", Path("a.opus"), 20.0, UTTERANCES, "en", timed=True)
SEGMENTS = (
    Segment(0.7, 3.9, " Good morning.", "en"),
    Segment(5.0, 9.0, " Thank you for watching!", "en"),
    Segment(10.0, 15.0, " How are you?", "en"),
)


def result(
    contestant: str,
    transcribe_s: float,
    segments: tuple[Segment, ...] = SEGMENTS,
    recording: str = "lj001_a",
) -> Result:
    text = "".join(segment.text for segment in segments)
    return Result(
        Trial(recording, contestant, "base"),
        transcribe_s + 5.0, 2.0, transcribe_s, 30.0, 500_000_000, segments, text, "", "here", "1.0",
    )  # fmt: skip


def test_words_where_nobody_speaks() -> None:
    assert words_outside(UTTERANCES, SEGMENTS, "en") == 4
    assert words_outside((), SEGMENTS, "en") == 9
    assert words_outside(UTTERANCES, [Segment(3.9, 12.0, " Thank you", "")], "en") == 0


def test_music_on_hold_is_nobody_speaking() -> None:
    listed = [
        {"start": 0.5, "end": 4.0, "text": "Please hold.", "language": "en", "file": "a"},
        {"start": 5.0, "end": 60.0, "text": "", "language": "none", "file": "b"},
        {"start": 61.0, "end": 62.0, "text": None, "language": "en", "file": "c"},
    ]
    found = read_utterances(json.dumps(listed))
    assert [one.text for one in found] == ["Please hold.", None]
    assert not RECORDING._replace(utterances=found).has_texts


def test_times_against_the_nearest() -> None:
    found = boundary_errors([0.5, 10.0], [0.7, 5.0, 10.0])
    assert found.median_s == pytest.approx(0.1)
    assert found.percentile_90_s == pytest.approx(0.18)


def test_languages_by_utterance() -> None:
    spoken = [Utterance(0, 4, "a", "fr"), Utterance(5, 9, "b", "de"), Utterance(20, 24, "c", "pt")]
    heard = [Segment(0, 3, "", "fr"), Segment(3, 4, "", "en"), Segment(4.5, 9, "", "fr")]
    assert language_errors(spoken, heard) == pytest.approx(2 / 3)
    assert language_errors(spoken, [Segment(0, 24, "everything")]) is None


def test_scores_that_a_recording_cannot_give() -> None:
    whole = score(RECORDING, SEGMENTS, "".join(one.text for one in SEGMENTS))
    assert whole.errors == WordErrors(5, 0, 0, 4)
    assert whole.language_errors is None
    assert whole.starts is not None
    silent = score(RealRecording("nonspeech/street", Path(), 9.0, (), "en"), (), "")
    assert silent == (None, 0, None, None, None)
    nothing = score(RECORDING, (), "")
    assert nothing.errors == WordErrors(5, 0, 5, 0)
    assert nothing.starts is None


def test_the_best_of_each_column_is_bold() -> None:
    results = [
        result("longscribe", 4.0, SEGMENTS[::2]),
        result(WHOLE_COMMANDS[2], 2.0),
        result("longscribe --speed 1.0", 4.0, SEGMENTS[::2])._replace(peak_pss_bytes=400_000_000),
    ]
    heading, _, rival, first, second = markdown_table(rows_of(results, RECORDING)).splitlines()
    assert "language errors" not in heading
    assert rival.startswith(f"| {WHOLE_COMMANDS[2]} | 80.00 | **0** | 4 | **0** | 4 | ")
    assert rival.endswith(" | 3 | **2.0** | **10.0** | **5400** | 500 |")
    assert first.startswith("| longscribe | **0.00** | **0** | **0** | **0** | **0** | **0.10** ")
    assert second.endswith(" | 2 | 4.0 | 5.0 | **5400** | **400** |")


def test_the_report_has_a_table_for_each_recording() -> None:
    text = report([result("longscribe", 4.0)], {"lj001_a": RECORDING}, "base", "Explained.\n")
    assert "\n## lj001_a\n" in text
    assert "Explained." in text
    assert "## Whole commands" not in text
    assert "lj001_a" not in report([result("longscribe", 4.0)], {"lj001_a": RECORDING}, "tiny", "")


def test_whole_commands_are_measured_from_start_to_end() -> None:
    results = [
        result("longscribe", 4.0, recording="clip_11_s"),
        result(WHOLE_COMMANDS[2], 2.0, recording="clip_11_s"),
        result("longscribe", 10.0, recording="clip_1_min"),
    ]
    lines = whole_commands_table(results).splitlines()
    assert lines[0] == "| program | clip 11 s, s | clip 1 min, s |"
    # the command's own process, and not the one that measures it
    assert lines[2] == "| longscribe | **6.0** | **12.0** |"
    assert lines[3] == f"| {WHOLE_COMMANDS[2]} | 7.0 | – |"


def test_what_has_a_result_is_not_run_again(tmp_path: Path) -> None:
    path = tmp_path / "real.jsonl"
    planned = plan(["lj001_a", "es_fleurs"], ["longscribe", REAL_NAMES[2]], "base")
    assert [trial.recording for trial in planned] == ["lj001_a"] * 2 + ["es_fleurs"] * 2
    assert still_to_run(planned, read_results(path)) == planned
    append_result(path, result("longscribe", 4.0))
    append_result(path, result(REAL_NAMES[2], 4.0))
    assert read_results(path)[0] == result("longscribe", 4.0)
    assert still_to_run(planned, read_results(path)) == planned[2:]
    path.write_bytes(path.read_bytes()[:-20])
    assert still_to_run(planned, read_results(path)) == planned[1:]


def test_contestants_and_their_weights() -> None:
    assert len(set(REAL_NAMES)) == len(REAL_NAMES)
    assert [contestant_named(name).name for name in REAL_NAMES] == list(REAL_NAMES)
    models = Models(Path("m.pt"), Path("m-ct2"), Path("m-ggml-f16.bin"))
    used = {models.path_for(contestant_named(name)).name for name in REAL_NAMES}
    assert used == {"m.pt", "m-ct2", "m-ggml-f16.bin"}
    with pytest.raises(ValueError, match="no contestant"):
        plan(["lj001_a"], ["nobody"], "base")


def test_every_bundled_recording_has_its_licence() -> None:
    licences = (SPEECH_FOLDER / "LICENCES.md").read_text(encoding="utf-8")
    files = [path for path in SPEECH_FOLDER.rglob("*") if path.is_file()]
    names = {path.relative_to(SPEECH_FOLDER).as_posix() for path in files} - {"LICENCES.md"}
    assert sum(path.stat().st_size for path in files) < MOST_BYTES
    assert {name for name in names if name not in licences} == set()


def test_bundled_recordings_are_found_with_their_language() -> None:
    found = available_recordings([SPEECH_FOLDER])
    languages = {name: recording.language for name, recording in found.items()}
    assert len(found) == 11
    assert languages["pt_fleurs"] == "pt"
    assert languages["alternating_languages"] == AUTO
    assert languages["nonspeech/street"] == "en"
    assert all(one.utterances[-1].end <= one.duration_s for one in found.values() if one.utterances)
