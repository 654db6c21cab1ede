"""The `longscribe` command as the benchmarks start it, and what its log says of the run."""

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

_DONE = re.compile(r"\bDone in ([\d.]+) s\b")
_READY = re.compile(r"\bWorkers and model were ready after ([\d.]+) s")
_SIZED = re.compile(r"\b(\d+) worker\(s\) x .*; batches of (\d+) windows")
_CHUNK_WINDOWS = re.compile(r"\bChunk \d+ of \d+: .* (\d+) windows, (\d+) fell back")
_CHUNK_STARTED = re.compile(r"\bChunk \d+ of \d+ started: \S+ ([\d.]+) s")
_ANY_CHUNK_DONE = re.compile(r"\bChunk \d+ of \d+ done: ")
_CHUNK_WORK = re.compile(r"\bChunk \d+ of \d+ done: .* segments, ([\d.]+) s, .*\bCPU (\d+) %")


class Sized(NamedTuple):
    """How a run used the machine."""

    workers: int
    batch_size: int
    longest_chunk_s: float


def command_line(
    recording: Path,
    model: str | Path,
    output: Path,
    options: Sequence[str] = (),
    *,
    fresh: bool = True,
) -> list[str]:
    """The command for one English recording, as a user of this environment would type it.

    Args:
        recording: to transcribe.
        model: its name or path.
        output: the folder to write to.
        options: further ones.
        fresh: do also what an earlier run kept: that is not what most benchmarks measure.
    """
    command = [str(Path(sys.executable).with_name("longscribe")), str(recording)]
    command += ["--model", str(model), "--language", "en", "--output-dir", str(output)]
    return [*command, *(["--fresh"] if fresh else []), *options]


def written_transcript(recording: Path, output: Path) -> dict[str, Any]:
    """The transcript that the command wrote of a recording."""
    path = output / recording.stem / f"{recording.stem}.json"
    transcript: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return transcript


def warm_up(recording: Path, model: str | Path, folder: Path, options: Sequence[str] = ()) -> None:
    """Run the command once on a short recording, so that no measured run is a machine's first.

    That one converts the model's weights and compiles the engine's kernels.

    Raises:
        subprocess.CalledProcessError: the command failed.
    """
    output = folder / "warm-up"
    command = command_line(recording, model, output, options)
    subprocess.run(command, stdout=subprocess.DEVNULL, check=True)
    shutil.rmtree(output)


def working_s(log: str) -> float:
    """Seconds of a run without starting up: what the flow took, less its wait for the workers.

    What the flow took leaves out Python's imports and the start of the embedded Prefect server; the
    wait is for worker processes to start, import torch and map the model.

    Raises:
        ValueError: the log does not tell.
    """
    return float(_found(_DONE, log)[1]) - float(_found(_READY, log)[1])


def seconds_to_first_chunk(lines: Iterable[tuple[float, str]]) -> float:
    """Seconds from the command's start until it said that a chunk is under way.

    Args:
        lines: of its output, with the seconds after which each came.

    Raises:
        ValueError: no chunk was started.
    """
    for after_s, text in lines:
        if _CHUNK_STARTED.search(text):
            return after_s
    raise ValueError("no chunk was started")


def transcribing_s(lines: Sequence[tuple[float, str]]) -> float:
    """Seconds from the first chunk's start to the last one's end.

    Args:
        lines: of its output, with the seconds after which each came.

    Raises:
        ValueError: no chunk was started, or none was done.
    """
    began_s = seconds_to_first_chunk(lines)
    done_s = [after_s for after_s, text in lines if _ANY_CHUNK_DONE.search(text)]
    if not done_s:
        raise ValueError("no chunk was done")
    return max(done_s) - began_s


def sized(log: str) -> Sized:
    """Workers, windows side by side and the longest chunk, in accelerated seconds.

    Raises:
        ValueError: the log does not tell.
    """
    found = _found(_SIZED, log)
    _found(_CHUNK_STARTED, log)
    longest_chunk_s = max(float(seconds) for seconds in _CHUNK_STARTED.findall(log))
    return Sized(int(found[1]), int(found[2]), longest_chunk_s)


def windows_and_fallbacks(log: str) -> tuple[int, int]:
    """Windows decoded in all chunks of a run in batches, and those whose first text failed."""
    found = _CHUNK_WINDOWS.findall(log)
    return sum(int(windows) for windows, _ in found), sum(int(fell) for _, fell in found)


def chunks_core_s(log: str) -> float:
    """Core-seconds that the chunks themselves took, without the command, its server and loading."""
    return sum(float(seconds) * int(cpu) / 100 for seconds, cpu in _CHUNK_WORK.findall(log))


def _found(pattern: re.Pattern[str], log: str) -> re.Match[str]:
    found = pattern.search(log)
    if found is None:
        raise ValueError(f"no line of the log says {pattern.pattern!r}")
    return found
