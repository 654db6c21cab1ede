"""Measures the peak memory of one worker for each official model size.

`python -m benchmarks.worker_memory [SIZE...]` writes random weights of each size as a float16
checkpoint, loads it in a fresh process the way a worker does, makes the spectrogram of a chunk and
decodes one window with five candidates, and prints the peak beside the estimate that sizing uses
(longscribe/machine.py). Random weights cost the same memory as trained ones.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.sizes import SIZES
from longscribe.checkpoint import ModelDims, sha256_of
from longscribe.machine import worker_memory_bytes
from longscribe.weights import ModelSpec

CHUNK_S = 600.0
CANDIDATES = 5
TOKENS = 8  # the caches of keys and values are allocated by then but for the tokens' own


def write_random_checkpoint(size: str, path: Path) -> None:
    """Random float16 weights in Whisper's checkpoint format."""
    import torch
    from whisper.model import ModelDimensions, Whisper

    dims = SIZES[size].dims
    state = Whisper(ModelDimensions(**dims)).half().state_dict()
    torch.save({"dims": dims, "model_state_dict": state}, path)


def measure_here(path: Path) -> None:
    """Work as a worker does with the checkpoint, in this process, and print the peaks in bytes."""
    import numpy as np
    import prefect  # noqa: F401  a worker holds it too
    import whisper

    from longscribe.checkpoint import read_dims
    from longscribe.decoding import load

    peaks = {"bare": _peak_bytes()}
    model = load(ModelSpec(name="", path=path, sha256=sha256_of(path), dims=read_dims(path)))
    peaks["loaded"] = _peak_bytes()
    chunk = np.random.default_rng(0).normal(0, 0.1, round(CHUNK_S * 16_000)).astype(np.float32)
    mel = whisper.log_mel_spectrogram(chunk, model.dims.n_mels, padding=480_000)
    options = whisper.DecodingOptions(
        language="en", temperature=0.5, best_of=CANDIDATES, sample_len=TOKENS, fp16=False
    )
    model.decode(mel[:, :3000], options)
    peaks["decoded"] = _peak_bytes()
    print(json.dumps(peaks))


def _peak_bytes() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def main() -> None:
    """Measure the sizes asked for and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("sizes", nargs="*", default=list(SIZES))
    parser.add_argument("--here", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--write", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.write:
        write_random_checkpoint(arguments.sizes[0], arguments.write)
        return
    if arguments.here:
        measure_here(arguments.here)
        return
    print("| model | bare GB | loaded GB | decoded GB | estimate GB |\n|---|---|---|---|---|")
    for size in arguments.sizes:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / f"{size}.pt"
            # Each in a process of its own: neither's peak may count for the other.
            command = [sys.executable, "-m", "benchmarks.worker_memory"]
            subprocess.run([*command, "--write", str(path), size], check=True)
            output = subprocess.run(
                [*command, "--here", str(path)], check=True, capture_output=True, text=True
            ).stdout
        peaks = json.loads(output)
        estimate = worker_memory_bytes(ModelDims(**SIZES[size].dims), CHUNK_S, CANDIDATES)
        shown = " | ".join(f"{value / 1e9:.2f}" for value in (*peaks.values(), estimate))
        print(f"| {size} | {shown} |", flush=True)


if __name__ == "__main__":
    main()
