"""The widened checkpoints in the formats of other programs.

`python -m benchmarks.convert base` writes what is missing of benchmarks/results/models/base-*:
CTranslate2 folders for faster-whisper and ggml files for whisper.cpp.
"""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from benchmarks.ctranslate2_format import write_ctranslate2
from benchmarks.ggml_format import write_ggml
from benchmarks.widen import MODELS_FOLDER, WIDENABLE, widened

_WRITERS: dict[str, Callable[[dict[str, Any], Path], None]] = {
    "ct2-float32": lambda checkpoint, path: write_ctranslate2(checkpoint, path, "float32"),
    "ct2-int8": lambda checkpoint, path: write_ctranslate2(checkpoint, path, "int8_float32"),
    "ggml-f16.bin": lambda checkpoint, path: write_ggml(checkpoint, path, "f16"),
    "ggml-q8_0.bin": lambda checkpoint, path: write_ggml(checkpoint, path, "q8_0"),
}
FORMATS = tuple(_WRITERS)


def converted(size: str, form: str, folder: Path = MODELS_FOLDER) -> Path:
    """The path of a widened checkpoint in one of FORMATS; written on the first call."""
    path = folder / f"{size}-{form}"
    if not path.exists():
        checkpoint = torch.load(widened(size, folder), map_location="cpu", weights_only=True)
        _WRITERS[form](checkpoint, path)
    return path


def main() -> None:
    """Convert the sizes asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("sizes", nargs="+", choices=WIDENABLE)
    for size in parser.parse_args().sizes:
        for form in FORMATS:
            print(converted(size, form), flush=True)


if __name__ == "__main__":
    main()
