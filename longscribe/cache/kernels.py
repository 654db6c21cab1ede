"""Where compiled kernels are kept, by the sources that they were compiled from."""

import os
from pathlib import Path
from typing import Final

from longscribe.cache.code import sources_sha256
from longscribe.cache.folder import cache_folder

# Whatever is compiled by numba.
KERNEL_SOURCES: Final = (
    *("engine/kernels.py", "engine/vectors.py", "engine/cross_attention.py"),
    *("engine/amx_attention.py", "engine/vnni_attention.py", "engine/vnni_gemm.py"),
    *("engine/pair_attention.py", "engine/pair_gemm.py"),
    *("decoding/logits_processors.py", "decoding/word_timestamps.py"),
)

# oneDNN's own variable, which limits the instructions that are used, ours too.
INSTRUCTION_LIMIT: Final = "ONEDNN_MAX_CPU_ISA"


def kernels_folder() -> Path:
    """The folder of all versions' kernels."""
    return cache_folder() / "kernels"


def compiled_folder(folder: Path) -> Path:
    """The folder of this version's kernels: numba does not see that a piece elsewhere changed.

    Nor that the instructions they may use were limited by our own rules.
    """
    limit = os.environ.get(INSTRUCTION_LIMIT, "").lower()
    return folder / (sources_sha256(KERNEL_SOURCES)[:16] + limit)


def are_compiled() -> bool:
    """Whether an earlier run compiled this version's kernels, as far as their files tell."""
    return any(compiled_folder(kernels_folder()).rglob("*.nbc"))
