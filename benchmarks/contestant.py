"""One program transcribes one recording, in a process of its own.

`python -m benchmarks.contestant NAME --audio FILE --model FILE --threads N --out FILE.json
[--language CODE|auto]` loads, transcribes, and writes {name, settings, about, load_s, transcribe_s,
segments, text}, each segment as {start, end, text, language}. Each program reads the recording from
its file, by the function that its users call. Libraries are imported before the clock of loading
starts: the time of the whole process is its caller's to measure. Longscribe takes the threads it
finds free.
"""

import argparse
import json
import subprocess
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.command import command_line, working_s, written_transcript
from benchmarks.contestants import Contestant, Program, contestant_named

AUTO = "auto"


class Task(NamedTuple):
    """What to transcribe with what; the language is a code or `auto`."""

    audio: Path
    model: Path
    threads: int
    folder: Path  # for what Longscribe writes
    language: str = "en"

    @property
    def given_language(self) -> str | None:
        """The language, as the Python programs take it: None has it detected."""
        return None if self.language == AUTO else self.language


class Segment(NamedTuple):
    """What was said from when to when; the language where the program tells, else empty."""

    start: float
    end: float
    text: str
    language: str = ""


class Outcome(NamedTuple):
    """What a program did; `about` says how it was built, where it can tell."""

    load_s: float
    transcribe_s: float
    segments: tuple[Segment, ...]
    text: str
    about: str = ""


def run_longscribe(contestant: Contestant, task: Task) -> Outcome:
    """The command, as a user calls it; its log is kept beside the result."""
    task.folder.mkdir(parents=True, exist_ok=True)
    options = ("--language", task.language, *contestant.arguments)  # the last one counts
    command = command_line(task.audio, task.model, task.folder, options)
    log = task.folder / "longscribe.log"
    started_s = time.perf_counter()
    with log.open("wb") as out:
        subprocess.run(command, stdout=out, check=True)
    whole_s = time.perf_counter() - started_s
    transcript = written_transcript(task.audio, task.folder)
    work_s = working_s(log.read_text(encoding="utf-8"))
    segments = tuple(
        Segment(one["start"], one["end"], one["text"], _language_of(one, transcript))
        for one in transcript["segments"]
    )
    return Outcome(whole_s - work_s, work_s, segments, transcript["text"])


def _language_of(segment: Mapping[str, Any], transcript: Mapping[str, Any]) -> str:
    """A segment's own language, or else the whole transcript's."""
    return str(segment.get("language") or transcript.get("language", ""))


def run_openai_whisper(contestant: Contestant, task: Task) -> Outcome:
    """openai-whisper with its checks and its fallback to higher temperatures."""
    import torch
    import whisper

    torch.set_num_threads(task.threads)
    started_s = time.perf_counter()
    model = whisper.load_model(str(task.model), device="cpu")
    loaded_s = time.perf_counter()
    result = model.transcribe(
        str(task.audio), language=task.given_language, fp16=False, **contestant.settings
    )
    ended_s = time.perf_counter()
    segments = tuple(
        Segment(one["start"], one["end"], one["text"], result["language"])
        for one in result["segments"]
    )
    return Outcome(loaded_s - started_s, ended_s - loaded_s, segments, result["text"])


def run_faster_whisper(contestant: Contestant, task: Task) -> Outcome:
    """faster-whisper window by window, or in batches over the parts its detector calls speech.

    Where the language is to be detected, it is for every window anew (`multilingual`); it does not
    tell which it found.
    """
    from faster_whisper import BatchedInferencePipeline, WhisperModel

    settings = {**contestant.settings, "multilingual": task.given_language is None}
    compute_type = settings.pop("compute_type")
    started_s = time.perf_counter()
    model = WhisperModel(
        str(task.model), device="cpu", compute_type=compute_type, cpu_threads=task.threads
    )
    batched = contestant.program == "faster-whisper batched"
    transcriber = BatchedInferencePipeline(model) if batched else model
    loaded_s = time.perf_counter()
    found, _ = transcriber.transcribe(str(task.audio), language=task.given_language, **settings)
    told = task.given_language or ""
    segments = tuple(  # from a generator: the work is done here
        Segment(one.start, one.end, one.text, told) for one in found
    )
    ended_s = time.perf_counter()
    text = "".join(segment.text for segment in segments)
    return Outcome(loaded_s - started_s, ended_s - loaded_s, segments, text)


def run_whisper_cpp(contestant: Contestant, task: Task) -> Outcome:
    """whisper.cpp through pywhispercpp, with its checks and its fallback."""
    import _pywhispercpp
    from pywhispercpp.model import Model

    started_s = time.perf_counter()
    model = Model(
        str(task.model),
        params_sampling_strategy=int("beam_search" in contestant.settings),
        n_threads=task.threads,
        print_progress=False,
    )
    loaded_s = time.perf_counter()
    found = model.transcribe(str(task.audio), language=task.language, **contestant.settings)
    ended_s = time.perf_counter()
    told = task.given_language or ""  # the wrapper does not tell what was detected
    segments = tuple(Segment(one.t0 / 100, one.t1 / 100, one.text, told) for one in found)
    text = " ".join(segment.text for segment in segments)
    about = "whisper.cpp was built with: " + _pywhispercpp.whisper_print_system_info().strip(" |")
    return Outcome(loaded_s - started_s, ended_s - loaded_s, segments, text, about)


_PROGRAMS: dict[Program, Callable[[Contestant, Task], Outcome]] = {
    "longscribe": run_longscribe,
    "openai-whisper": run_openai_whisper,
    "faster-whisper": run_faster_whisper,
    "faster-whisper batched": run_faster_whisper,
    "whisper.cpp": run_whisper_cpp,
}


def main() -> None:
    """Run one contestant and write its result."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name")
    parser.add_argument("--audio", type=Path, required=True)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--threads", type=int, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--language", default="en", metavar="CODE|auto")
    arguments = parser.parse_args()
    contestant = contestant_named(arguments.name)
    folder = arguments.out.with_suffix("")
    task = Task(arguments.audio, arguments.model, arguments.threads, folder, arguments.language)
    outcome = _PROGRAMS[contestant.program](contestant, task)
    settings: dict[str, Any] = {**contestant.settings, "arguments": list(contestant.arguments)}
    written = {"name": contestant.name, "settings": settings, **outcome._asdict()}
    written["segments"] = [segment._asdict() for segment in outcome.segments]
    arguments.out.write_text(json.dumps(written, ensure_ascii=False), encoding="utf-8")


if __name__ == "__main__":
    main()
