"""Counts the words that cutting into chunks loses or doubles.

`python -m benchmarks.seams --hours 10` makes held-out hours with the demo's generator, transcribes
each in chunks and in one piece, and compares the words around every seam: those only the whole-file
transcript has were lost at the seam, those only the chunked one has were doubled.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import NamedTuple

import jiwer
from whisper.normalizers import BasicTextNormalizer

from longscribe.transcript import Transcript

_AROUND_S = 15.0  # compared on both sides of a seam, in whole segments
_FIRST_SEED = 7_000


class SeamCount(NamedTuple):
    """Words at the seams of one recording."""

    seams: int
    lost: int
    doubled: int
    replaced: int
    words: int


def compare_at_seams(chunked: Transcript, whole: Transcript) -> SeamCount:
    """Compare the words around each seam of the chunked transcript."""
    normalize = BasicTextNormalizer()
    lost = doubled = replaced = words = 0
    for seam_s in chunked.seams_s:
        expected = normalize(_text_around(whole, seam_s))
        found = normalize(_text_around(chunked, seam_s))
        if not expected:
            doubled += len(found.split())
            continue
        result = jiwer.process_words(expected, found)
        lost += result.deletions
        doubled += result.insertions
        replaced += result.substitutions
        words += len(expected.split())
    return SeamCount(len(chunked.seams_s), lost, doubled, replaced, words)


def _text_around(transcript: Transcript, seam_s: float) -> str:
    return "".join(
        segment.text
        for segment in transcript.segments
        # By their middles: the same sentence may end a little earlier in the other transcript.
        if abs((segment.start + segment.end) / 2 - seam_s) <= _AROUND_S
    )


def measure_hour(seed: int, minutes: float, chunk_minutes: float, threads: int) -> SeamCount:
    """Make one recording, transcribe it both ways, and compare."""
    import torch

    import longscribe

    torch.set_num_threads(threads)
    with tempfile.TemporaryDirectory() as folder:
        recording = Path(folder) / "hour.wav"
        command = [sys.executable, "demo/make_recording.py", "--seed", str(seed)]
        command += ["--minutes", str(minutes), "--language", ("en", "pt")[seed % 2]]
        subprocess.run([*command, "--out", str(recording)], check=True)
        chunked, whole = (
            longscribe.transcribe(recording, model="demo", chunk_minutes=length)
            for length in (chunk_minutes, 120.0)
        )
    return compare_at_seams(chunked, whole)


def main() -> None:
    """Measure and print one line per recording and the sum."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--hours", type=int, default=10, help="recordings made")
    parser.add_argument("--minutes", type=float, default=60.0, help="length of each")
    parser.add_argument("--chunk-minutes", type=float, default=10.0)
    parser.add_argument("--workers", type=int, default=len(os.sched_getaffinity(0)))
    arguments = parser.parse_args()
    started_s = time.monotonic()
    total = SeamCount(0, 0, 0, 0, 0)
    print("recording  seams  lost  doubled  replaced  words compared")
    with ProcessPoolExecutor(arguments.workers) as pool:
        futures = [
            pool.submit(measure_hour, seed, arguments.minutes, arguments.chunk_minutes, 1)
            for seed in range(_FIRST_SEED, _FIRST_SEED + arguments.hours)
        ]
        for number, future in enumerate(futures, start=1):
            count = future.result()
            total = SeamCount(*(a + b for a, b in zip(total, count, strict=True)))
            print(f"{number:9d}  {_row(count)}", flush=True)
    print(f"      all  {_row(total)}")
    per_ten = 10 * (total.lost + total.doubled) / max(1, total.seams)
    print(f"{per_ten:.2f} words lost or doubled per 10 seams; {time.monotonic() - started_s:.0f} s")


def _row(count: SeamCount) -> str:
    return (
        f"{count.seams:5d}  {count.lost:4d}  {count.doubled:7d}  {count.replaced:8d}  "
        f"{count.words:14d}"
    )


if __name__ == "__main__":
    main()
