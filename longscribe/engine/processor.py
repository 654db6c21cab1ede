"""What the processor can do, as far as the engine chooses its arithmetic by it."""

import os
import platform
import sys
from functools import cache
from pathlib import Path
from typing import Final, NamedTuple

import torch

from longscribe.cache.folder import mark_used
from longscribe.cache.kernels import INSTRUCTION_LIMIT, compiled_folder


class _Limited(NamedTuple):
    """A lesser processor: what oneDNN's limit leaves, and LLVM's name of one that has just that."""

    instructions: tuple[str, ...]
    llvm_name: str


# So that a lesser processor can be tried on a better one ("CPU Dispatcher Control" in oneDNN's
# documentation); other values of the limit leave all.
_AVX512_CORE: Final = ("avx2", "avx512_f", "avx512_bw")
_AVX512_VNNI: Final = (*_AVX512_CORE, "avx512_vnni")
_LIMITS: Final[dict[str, _Limited]] = {
    "SSE41": _Limited((), "penryn"),
    "AVX": _Limited((), "sandybridge"),
    "AVX2": _Limited(("avx2",), "haswell"),
    "AVX2_VNNI": _Limited(("avx2", "avx_vnni"), "alderlake"),
    "AVX2_VNNI_2": _Limited(("avx2", "avx_vnni"), "alderlake"),
    "AVX512_CORE": _Limited(_AVX512_CORE, "skylake-avx512"),
    "AVX512_CORE_VNNI": _Limited(_AVX512_VNNI, "cascadelake"),
    "AVX512_CORE_BF16": _Limited((*_AVX512_VNNI, "avx512_bf16"), "cooperlake"),
    "AVX512_CORE_FP16": _Limited((*_AVX512_VNNI, "avx512_bf16", "avx_vnni"), "sapphirerapids"),
}


def _limited() -> _Limited | None:
    return _LIMITS.get(os.environ.get(INSTRUCTION_LIMIT, "").upper())


def _has(name: str) -> bool:
    limited = _limited()
    is_left = limited is None or name in limited.instructions
    return is_left and bool(torch.cpu.get_capabilities().get(name))


def has_matrix_unit() -> bool:
    """Whether it multiplies bfloat16 matrices in hardware (Intel's AMX)."""
    return _has("amx_tile") and bool(torch.cpu._is_amx_tile_supported())


def has_byte_products() -> bool:
    """Whether it adds up products of bytes in vectors of 512 bits (AVX-512 VNNI)."""
    return _has("avx512_vnni")


def has_vectors_of_pairs() -> bool:
    """Whether it multiplies pairs of 16 bits in vectors of 256 bits (AVX2)."""
    return _has("avx2")


def has_long_vectors() -> bool:
    """Whether its vectors have 512 bits (AVX-512 with its instructions for bytes and words)."""
    return _has("avx512_f") and _has("avx512_bw")


def has_short_vnni() -> bool:
    """Whether it adds products up in one step in vectors of 256 bits (AVX-VNNI)."""
    return _has("avx_vnni")


def lacks_byte_products() -> bool:
    """Whether it has AVX2, and no instruction that adds up products of bytes without overflow."""
    return has_vectors_of_pairs() and not (has_byte_products() or has_short_vnni())


def has_bfloat16_products() -> bool:
    """Whether products of bfloat16 take half as long as those of float32, or less."""
    return has_matrix_unit() or _has("avx512_bf16")


@cache
def instructions() -> str:
    """The best of its instructions for int8 products, as oneDNN would use it; else its family."""
    names = ("amx_int8", "avx512_vnni", "avx_vnni", "avx512_f", "avx2")
    best = next((name for name in names if _has(name)), platform.machine())
    return (best + os.environ.get(INSTRUCTION_LIMIT, "")).lower()


def integer_range() -> int:
    """The largest weight that int8 products stand.

    Without VNNI oneDNN adds pairs of products in 16 bits, which full-range weights overflow (its
    "Nuances of int8 computations"); our own products of pairs do not (pair_gemm.py).
    """
    full = has_byte_products() or has_short_vnni() or lacks_byte_products()
    return 127 if full else 63


def set_up_numba(folder: Path) -> None:
    """Choose how numba compiles the kernels and where it keeps them; call it before it is imported.

    Vectors of 512 bits: LLVM avoids them by itself, as older processors slow down for them; those
    with a matrix unit do not, and the kernels run 5 to 30 % faster. A lesser processor that is
    imitated is LLVM's too. And a cache named by the kernels' sources: numba by itself does not see
    that a piece from another file has changed.

    Args:
        folder: for the compiled code of all versions.
    """
    if "numba" in sys.modules:
        return
    os.environ.setdefault("NUMBA_CACHE_DIR", str(compiled_folder(folder)))
    kernels = Path(os.environ["NUMBA_CACHE_DIR"])
    # With the marks of what was compiled whole (decoding/rehearsal.py).
    for path in (*kernels.rglob("*.nb*"), *kernels.rglob("*.compiled")):
        mark_used(path)
    if "NUMBA_CPU_NAME" in os.environ or "NUMBA_CPU_FEATURES" in os.environ:
        return
    limited = _limited()
    if limited is not None and all(_has(name) for name in limited.instructions):
        os.environ["NUMBA_CPU_NAME"] = limited.llvm_name
        os.environ["NUMBA_CPU_FEATURES"] = ""  # those that the name stands for
    elif has_matrix_unit():
        from llvmlite import binding

        features = binding.get_host_cpu_features().flatten()
        os.environ["NUMBA_CPU_NAME"] = binding.get_host_cpu_name()
        os.environ["NUMBA_CPU_FEATURES"] = f"{features},-prefer-256-bit"
