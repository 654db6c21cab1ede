"""One program transcribes one recording, in a process of its own.

`python -m benchmarks.contestant NAME --audio FILE --model FILE --threads N --out FILE.json` loads,
transcribes, and writes {name, settings, about, load_s, transcribe_s, segments, text}. Each program
reads the recording from its file, by the function that its users call. Libraries are imported
before the clock of loading starts: the time of the whole process is benchmarks.speed's to measure.
Longscribe takes the threads it finds free.
"""

import argparse
import json
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.command import command_line, working_s, written_transcript
from benchmarks.contestants import Contestant, Program, contestant_named

LANGUAGE = "en"


class Task(NamedTuple):
    """What to transcribe with what."""

    audio: Path
    model: Path
    threads: int
    folder: Path  # for what Longscribe writes


class Outcome(NamedTuple):
    """What a program did; `about` says how it was built, where it can tell."""

    load_s: float
    transcribe_s: float
    segments: int
    text: str
    about: str = ""


def run_longscribe(contestant: Contestant, task: Task) -> Outcome:
    """The command, as a user calls it; its log is kept beside the result."""
    task.folder.mkdir(parents=True, exist_ok=True)
    command = command_line(task.audio, task.model, task.folder, contestant.arguments)
    log = task.folder / "longscribe.log"
    started_s = time.perf_counter()
    with log.open("wb") as out:
        subprocess.run(command, stdout=out, check=True)
    whole_s = time.perf_counter() - started_s
    transcript = written_transcript(task.audio, task.folder)
    work_s = working_s(log.read_text(encoding="utf-8"))
    return Outcome(whole_s - work_s, work_s, len(transcript["segments"]), transcript["text"])


def run_openai_whisper(contestant: Contestant, task: Task) -> Outcome:
    """openai-whisper with its checks and its fallback to higher temperatures."""
    import torch
    import whisper

    torch.set_num_threads(task.threads)
    started_s = time.perf_counter()
    model = whisper.load_model(str(task.model), device="cpu")
    loaded_s = time.perf_counter()
    result = model.transcribe(
        str(task.audio),
        language=LANGUAGE,
        fp16=False,
        condition_on_previous_text=False,
        **contestant.settings,
    )
    ended_s = time.perf_counter()
    return Outcome(
        loaded_s - started_s, ended_s - loaded_s, len(result["segments"]), result["text"]
    )


def run_faster_whisper(contestant: Contestant, task: Task) -> Outcome:
    """faster-whisper window by window, or in batches over the parts its detector calls speech."""
    from faster_whisper import BatchedInferencePipeline, WhisperModel

    settings = dict(contestant.settings)
    compute_type = settings.pop("compute_type")
    started_s = time.perf_counter()
    model = WhisperModel(
        str(task.model), device="cpu", compute_type=compute_type, cpu_threads=task.threads
    )
    loaded_s = time.perf_counter()
    if contestant.program == "faster-whisper batched":
        found, _ = BatchedInferencePipeline(model).transcribe(
            str(task.audio), language=LANGUAGE, **settings
        )
    else:
        found, _ = model.transcribe(
            str(task.audio), language=LANGUAGE, condition_on_previous_text=False, **settings
        )
    segments = list(found)  # a generator: the work is done here
    ended_s = time.perf_counter()
    text = "".join(segment.text for segment in segments)
    return Outcome(loaded_s - started_s, ended_s - loaded_s, len(segments), text)


def run_whisper_cpp(contestant: Contestant, task: Task) -> Outcome:
    """whisper.cpp through pywhispercpp: greedy, with its checks and its fallback."""
    import _pywhispercpp
    from pywhispercpp.model import Model

    started_s = time.perf_counter()
    model = Model(str(task.model), n_threads=task.threads, print_progress=False)
    loaded_s = time.perf_counter()
    # No room for text of the window before.
    segments = model.transcribe(str(task.audio), language=LANGUAGE, n_max_text_ctx=0)
    ended_s = time.perf_counter()
    text = " ".join(segment.text for segment in segments)
    about = "whisper.cpp was built with: " + _pywhispercpp.whisper_print_system_info().strip(" |")
    return Outcome(loaded_s - started_s, ended_s - loaded_s, len(segments), text, about)


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
    arguments = parser.parse_args()
    contestant = contestant_named(arguments.name)
    folder = arguments.out.with_suffix("")
    task = Task(arguments.audio, arguments.model, arguments.threads, folder)
    outcome = _PROGRAMS[contestant.program](contestant, task)
    settings: dict[str, Any] = {**contestant.settings, "arguments": list(contestant.arguments)}
    written = {"name": contestant.name, "settings": settings, **outcome._asdict()}
    arguments.out.write_text(json.dumps(written, ensure_ascii=False), encoding="utf-8")


if __name__ == "__main__":
    main()
