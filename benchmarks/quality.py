"""Compares what batched and sequential decoding hear in a recording that makes it hard for them.

`python -m benchmarks.quality` makes hours with long silences, changing noise and stretches of noise
or tones alone (benchmarks/rough_recording.py), one for each seed: what is invented over tones is
chance, and one hour says little. The `longscribe` command transcribes them with the demo model by
openai-whisper's own loop, in batches on the same float32 weights, and in batches in int8. Options
after -- go to the command. Columns of the table, summed over the recordings:

- invented: words of segments during which nobody speaks, by what is heard there instead.
- windows, fell back: those decoded, and those whose first text failed the quality rules. For
  openai-whisper's loop both count only windows that gave text, and those whose final text came from
  a temperature above zero.
- over silence: segments that reach more than a second into a silence of 5 s or more.
- seconds: from the flow's start to its end, without the wait for workers and model.
"""

import argparse
import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from benchmarks.command import (
    command_line,
    windows_and_fallbacks,
    working_s,
    written_transcript,
)
from benchmarks.process_tree import watch
from benchmarks.recordings import RESULTS_FOLDER, WordErrors
from benchmarks.rough_recording import RoughRecording, rough_recording
from benchmarks.surroundings import describe_machine
from longscribe.audio.voice_activity import Spans, overlap_s, silence_spans

Segments = Sequence[Mapping[str, Any]]  # as the JSON file of a transcript has them


class Setting(NamedTuple):
    """A way of decoding."""

    decoding: str
    precision: str


SETTINGS = (
    Setting("sequential", "float32"),
    Setting("batched", "float32"),
    Setting("batched", "int8"),
)
_LONG_SILENCE_S = 5.0
_OVER_SILENCE_S = 1.0


class Invented(NamedTuple):
    """Words where nobody speaks, by what is heard there."""

    over_noise: int
    over_tones: int
    over_background: int


class Quality(NamedTuple):
    """What a setting made of the recording."""

    setting: Setting
    errors: WordErrors
    invented: Invented
    windows: int
    fallbacks: int
    segments: int
    over_silence: int
    seconds: float


def measure(
    setting: Setting, rough: RoughRecording, model: str, options: Sequence[str], folder: Path
) -> Quality:
    """Transcribe the recording and compare with what is said in it.

    Raises:
        SystemExit: the command failed; its log is named.
    """
    log, output = folder / f"quality-{setting.decoding}-{setting.precision}.log", folder / "quality"
    arguments = ["--decoding", setting.decoding, "--precision", setting.precision, *options]
    watched = watch(command_line(rough.heard.path, model, output, arguments), log)
    if watched.exit_code != 0:
        sys.exit(f"longscribe ended with {watched.exit_code}; see {log}")
    transcript = written_transcript(rough.heard.path, output)
    shutil.rmtree(output)
    said = log.read_text(encoding="utf-8")
    segments: Segments = transcript["segments"]
    speech = np.array([(row["start"], row["end"]) for row in rough.heard.sentences()])
    batched = setting.decoding == "batched"
    windows, fallbacks = windows_and_fallbacks(said) if batched else windows_with_text(segments)
    return Quality(
        setting,
        rough.heard.word_errors(transcript["text"]),
        invented_words(segments, speech, rough),
        windows,
        fallbacks,
        len(segments),
        count_over_silence(segments, speech, rough.heard.duration_s),
        working_s(said),
    )


def invented_words(segments: Segments, speech: Spans, rough: RoughRecording) -> Invented:
    """Count the words of segments that no sentence overlaps."""
    counts = {"noise": 0, "tones": 0, "": 0}
    for segment in segments:
        if overlap_s(speech, segment["start"], segment["end"]) > 0:
            continue
        kinds = [
            scene.kind
            for scene in rough.scenes
            if scene.start < segment["end"] and segment["start"] < scene.end
        ]
        counts[kinds[0] if kinds else ""] += len(segment["text"].split())
    return Invented(counts["noise"], counts["tones"], counts[""])


def count_over_silence(segments: Segments, speech: Spans, duration_s: float) -> int:
    """Count the segments that reach far into a long silence, whatever else is heard there."""
    silences = silence_spans(speech, duration_s)
    long = silences[silences[:, 1] - silences[:, 0] >= _LONG_SILENCE_S]
    return sum(
        overlap_s(long, segment["start"], segment["end"]) > _OVER_SILENCE_S for segment in segments
    )


def windows_with_text(segments: Segments) -> tuple[int, int]:
    """The windows that gave segments, and those of them above temperature zero."""
    fallen = [segment for segment in segments if segment["temperature"] > 0]
    return len({s["seek"] for s in segments}), len({s["seek"] for s in fallen})


_HEADINGS = (
    "decoding", "precision", "WER %", "substituted", "deleted", "inserted",
    "invented over noise", "over tones", "over background", "windows", "fell back", "segments",
    "over silence", "seconds",
)  # fmt: skip


def table_line(quality: Quality) -> str:
    """A setting as a line of the table."""
    _, *errors = quality.errors
    counts: Sequence[int] = (
        *(*errors, *quality.invented, quality.windows, quality.fallbacks),
        *(quality.segments, quality.over_silence),
    )
    cells = (
        *quality.setting,
        f"{100 * quality.errors.rate:.2f}",
        *map(str, counts),
        f"{quality.seconds:.1f}",
    )
    return "| " + " | ".join(cells) + " |"


def describe(rough: RoughRecording) -> str:
    """What is in the recording, in a sentence."""
    sentences = rough.heard.sentences()
    spoken_s = sum(row["end"] - row["start"] for row in sentences)
    alone = {
        kind: sum(scene.end - scene.start for scene in rough.scenes if scene.kind == kind)
        for kind in ("noise", "tones")
    }
    return (
        f"{rough.heard.duration_s / 60:g} minutes: {len(sentences)} sentences of {spoken_s:.0f} s, "
        f"noise alone for {alone['noise']:.0f} s, tones alone for {alone['tones']:.0f} s"
    )


def summed(parts: Sequence[Quality]) -> Quality:
    """A setting over several recordings."""
    return Quality(
        parts[0].setting,
        WordErrors(*(sum(column) for column in zip(*(p.errors for p in parts), strict=True))),
        Invented(*(sum(column) for column in zip(*(p.invented for p in parts), strict=True))),
        *(sum(column) for column in zip(*(p[3:] for p in parts), strict=True)),
    )


def main() -> None:
    """Run every setting on every recording and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--seeds", type=int, nargs="+", default=[4242, 1, 2, 3])
    parser.add_argument("--without-tones", action="store_true", help="silences and noise alone")
    parser.add_argument("--model", default="demo")
    parser.add_argument("--folder", type=Path, default=RESULTS_FOLDER)
    parser.add_argument("options", nargs="*", help="of the longscribe command, after --")
    arguments = parser.parse_args()
    hours = [
        rough_recording(
            arguments.minutes * 60, seed, arguments.folder, tones=not arguments.without_tones
        )
        for seed in arguments.seeds
    ]
    chosen = f"longscribe --model {arguments.model} {' '.join(arguments.options)}"
    print(describe_machine())
    for seed, rough in zip(arguments.seeds, hours, strict=True):
        print(f"seed {seed}, {describe(rough)}")
    print(f"{chosen}\n")
    print("| " + " | ".join(_HEADINGS) + " |\n|---|---" + "|---:" * (len(_HEADINGS) - 2) + "|")
    for setting in SETTINGS:
        found = [
            measure(setting, rough, arguments.model, arguments.options, arguments.folder)
            for rough in hours
        ]
        rates = ", ".join(f"{100 * quality.errors.rate:.2f}" for quality in found)
        print(f"{table_line(summed(found))} {rates}", flush=True)


if __name__ == "__main__":
    main()
