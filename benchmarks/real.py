"""Compares Longscribe with other programs on real people talking, on the same weights.

`python -m benchmarks.real` lets every program of benchmarks.contestants.REAL_NAMES transcribe every
recording of benchmarks/speech, and those of the folder --more where it is there, each in a process
of its own with all cores. All have the same float16 weights: --pt is openai-whisper's checkpoint,
--ct2 the same as CTranslate2's folder, --ggml as whisper.cpp's file. Without them the weights of
the extra `base` are taken; those that are missing are written from --pt, and so is whisper.cpp's
q8_0 beside --ggml.

Every result is written at once to benchmarks/results/real.jsonl, with its segments, so that a
second call goes on where the first was stopped; delete the file to start over. At the end, and with
--report alone, they are scored and written as tables to real.md beside it. --whole-commands
measures whole programs, starting and loading included, on clips of 11 s to 90 minutes instead.
openai-whisper and whisper.cpp's wrapper need `ffmpeg`. Nothing else may run meanwhile.
"""

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import torch

from benchmarks.command import warm_up
from benchmarks.contestant import Segment
from benchmarks.contestants import (
    FASTER_WHISPER_FASTEST,
    OPENAI_WHISPER_AS_CALLED,
    REAL_NAMES,
    Contestant,
    contestant_named,
)
from benchmarks.ctranslate2_format import write_ctranslate2
from benchmarks.ggml_format import write_ggml
from benchmarks.process_tree import cores, watch
from benchmarks.real_recordings import (
    CLIP_DURATIONS_S,
    MORE_SPEECH_FOLDER,
    NONSPEECH,
    RECORDING_NAMES,
    SPEECH_FOLDER,
    RealRecording,
    available_recordings,
    clip,
)
from benchmarks.real_table import (
    Result,
    Trial,
    append_result,
    read_results,
    report,
    still_to_run,
)
from benchmarks.recordings import RESULTS_FOLDER
from benchmarks.surroundings import describe_machine, describe_versions
from longscribe.engine.processor import instructions
from longscribe.models.forms import read
from longscribe.models.index_packages import is_installed
from longscribe.models.weights import resolve_model

WHOLE_COMMANDS = (
    "longscribe", "longscribe --speed 1.0", FASTER_WHISPER_FASTEST, OPENAI_WHISPER_AS_CALLED,
)  # fmt: skip
_SEQUENTIAL = "longscribe --speed 1.0 --decoding sequential"
# Clips that take more than a quarter of an hour; and where a chunk is past its own deadline again
# and again: every window falls back to all temperatures where nobody speaks.
_TOO_LONG = {
    ("clip_90_min", OPENAI_WHISPER_AS_CALLED),
    ("alternating_languages", _SEQUENTIAL),
    *((name, _SEQUENTIAL) for name in RECORDING_NAMES if name.startswith(NONSPEECH)),
}
_WARM_UP_CLIP = "clip_11_s"

_PREFACE = """\
The best value of each column is in bold; programs in the order of their seconds.

- WER: of words as Whisper's normalizers leave them (the English one, or the basic one), of
  characters in Chinese and Japanese. `lost`, `invented` and `substituted` are its parts.
- words where nobody speaks: of segments that lie wholly outside all utterances. Where a program
  puts speech and music into one segment, what it makes of the music counts as invented only.
- language errors: utterances whose segments are mainly said to be in another language, or that have
  none; where a program tells one language for a whole recording, all have that. faster-whisper
  detects the language of each window here (`multilingual`) and does not tell it; nor does
  whisper.cpp's wrapper.
- start and end off: from the true start (end) of an utterance to the nearest start (end) of any
  segment. Utterances are read one after the other with short pauses. A program with more segments
  has more chances to be near; their number is in its column.
- seconds: of the work, without starting and loading. core-seconds (per hour of recording) and
  memory are of all processes, with both.
- Programs have their own defaults but for what their names say, faster-whisper's computations in
  int8, and the language, which all are told where there is one.
"""


class Models(NamedTuple):
    """The same weights in the forms that the programs load."""

    pt: Path
    ct2: Path
    ggml: Path

    @property
    def ggml_q8_0(self) -> Path:
        """The file in 8-bit blocks, beside the one in float16."""
        stem = self.ggml.stem.removesuffix("-f16")
        return self.ggml.with_name(f"{stem}-q8_0{self.ggml.suffix}")

    def path_for(self, contestant: Contestant) -> Path:
        """The form that a contestant loads; faster-whisper converts float16 while it loads."""
        if contestant.form is None:
            return self.pt
        if contestant.form.startswith("ct2"):
            return self.ct2
        return self.ggml_q8_0 if "q8_0" in contestant.form else self.ggml

    def write_missing(self) -> None:
        """Write what is missing, from openai-whisper's checkpoint.

        Raises:
            FileNotFoundError: that is missing too.
        """
        missing = [path for path in (self.ct2, self.ggml, self.ggml_q8_0) if not path.exists()]
        if not missing and self.pt.exists():
            return
        if not self.pt.exists() and is_installed("base"):
            self._write_installed()
        checkpoint = torch.load(self.pt, map_location="cpu", weights_only=True)
        if self.ct2 in missing:
            write_ctranslate2(checkpoint, self.ct2, "float16")
        if self.ggml in missing:
            write_ggml(checkpoint, self.ggml, "f16")
        if self.ggml_q8_0 in missing:
            write_ggml(checkpoint, self.ggml_q8_0, "q8_0")

    def _write_installed(self) -> None:
        spec = resolve_model("base")
        self.pt.parent.mkdir(parents=True, exist_ok=True)
        content = {"dims": spec.dims.model_dump(), "model_state_dict": read(spec)}
        torch.save(content, self.pt)


def plan(recordings: Iterable[str], contestants: Sequence[str], model: str) -> list[Trial]:
    """Every trial, recording by recording; what would take an hour alone is left out.

    Raises:
        ValueError: a contestant is unknown.
    """
    for name in contestants:
        contestant_named(name)
    return [
        Trial(recording, contestant, model)
        for recording in recordings
        for contestant in contestants
        if (recording, contestant) not in _TOO_LONG
    ]


def run_trial(trial: Trial, recording: RealRecording, models: Models, folder: Path) -> Result:
    """Run one contestant in a process of its own.

    Raises:
        subprocess.CalledProcessError: it failed; its output is in the folder's real.log.
    """
    contestant = contestant_named(trial.contestant)
    out, log = folder / "real-run.json", folder / "real.log"
    command = [sys.executable, "-m", "benchmarks.contestant", trial.contestant]
    command += ["--audio", str(recording.path), "--model", str(models.path_for(contestant))]
    command += ["--language", recording.language]
    command += ["--threads", str(cores()), "--out", str(out)]
    watched = watch(command, log)
    if watched.exit_code != 0:
        output = log.read_text(encoding="utf-8", errors="replace")
        raise subprocess.CalledProcessError(watched.exit_code, command, output)
    outcome = json.loads(out.read_text(encoding="utf-8"))
    return Result(
        trial,
        round(watched.wall_s, 3),
        round(outcome["load_s"], 3),
        round(outcome["transcribe_s"], 3),
        round(watched.cpu_s, 2),
        watched.peak_pss_bytes,
        tuple(Segment(**segment) for segment in outcome["segments"]),
        outcome["text"],
        outcome["about"],
        f"{describe_machine()}; Longscribe computes int8 by {instructions()}",
        describe_versions(),
    )


def run_all(
    trials: Sequence[Trial],
    recordings: Mapping[str, RealRecording],
    models: Models,
    results_path: Path,
) -> None:
    """Run trials one after the other and keep each result; one that fails is told and left out."""
    folder = results_path.parent
    warm: set[tuple[str, ...]] = set()
    for number, trial in enumerate(trials, start=1):
        shown = f"{number}/{len(trials)} {trial.recording}: {trial.contestant}"
        contestant = contestant_named(trial.contestant)
        recording = recordings[trial.recording]
        try:
            if contestant.is_longscribe and contestant.arguments not in warm:
                warm_up(clip(_WARM_UP_CLIP, folder).path, models.pt, folder, contestant.arguments)
                warm.add(contestant.arguments)
            started_s = time.monotonic()
            result = run_trial(trial, recording, models, folder)
        except subprocess.CalledProcessError as error:
            print(f"{shown}: failed\n{str(error.output)[-2000:]}", file=sys.stderr, flush=True)
            continue
        append_result(results_path, result)
        print(
            f"{shown}: {result.transcribe_s:.1f} s, "
            f"{recording.duration_s / result.transcribe_s:.1f} x real time, "
            f"{time.monotonic() - started_s:.0f} s in all",
            flush=True,
        )


def main() -> None:
    """Run what is missing and report."""
    arguments = _parser().parse_args()
    results_path: Path = arguments.results
    folder = results_path.parent
    folder.mkdir(parents=True, exist_ok=True)
    recordings = available_recordings([SPEECH_FOLDER, *arguments.more])
    clips = {name: clip(name, folder) for name in CLIP_DURATIONS_S if arguments.whole_commands}
    heard = clips or recordings
    chosen = arguments.only_recordings or list(heard)
    default_names = WHOLE_COMMANDS if arguments.whole_commands else REAL_NAMES
    models = Models(arguments.pt, arguments.ct2, arguments.ggml)
    if unknown := set(chosen) - set(heard):
        _parser().error(f"not there: {', '.join(sorted(unknown))}; there are: {', '.join(heard)}")
    try:
        planned = plan(chosen, arguments.only_contestants or default_names, models.pt.stem)
        if not arguments.report:
            models.write_missing()
    except (ValueError, FileNotFoundError) as error:
        _parser().error(str(error))
    if not arguments.report:
        run_all(still_to_run(planned, read_results(results_path)), heard, models, results_path)
    text = report(read_results(results_path), recordings, models.pt.stem, _PREFACE)
    results_path.with_suffix(".md").write_text(text, encoding="utf-8")
    print(text)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    models = RESULTS_FOLDER / "models"
    there = [MORE_SPEECH_FOLDER] if MORE_SPEECH_FOLDER.exists() else []
    add = parser.add_argument
    add("--pt", type=Path, default=models / "real-base.pt", metavar="FILE")
    add("--ct2", type=Path, default=models / "real-base-ct2", metavar="FOLDER")
    add("--ggml", type=Path, default=models / "real-base-ggml-f16.bin", metavar="FILE")
    add("--more", type=Path, nargs="*", default=there, metavar="FOLDER", help="more recordings")
    add("--only-recordings", nargs="+", metavar="NAME", help=f"of: {', '.join(RECORDING_NAMES)}")
    add(
        "--only-contestants",
        nargs="+",
        metavar="NAME",
        help=f"of: {'; '.join(REAL_NAMES)}; or longscribe with any of its options, in quotes",
    )
    add("--whole-commands", action="store_true", help="measure whole programs, on clips")
    add("--results", type=Path, default=RESULTS_FOLDER / "real.jsonl")
    add("--report", action="store_true", help="run nothing, write the report")
    return parser


if __name__ == "__main__":
    main()
