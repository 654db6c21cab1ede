"""What the processor can do, as far as the engine chooses its arithmetic by it."""

import os
import sys
from functools import cache
from pathlib import Path
from typing import Final

import torch

from longscribe.cache.folder import mark_used
from longscribe.cache.kernels import compiled_folder

# What oneDNN's own variable leaves of the instructions, so that a lesser processor can be tried on
# a better one ("CPU Dispatcher Control" in its documentation); other values leave all.
_LIMIT: Final = "ONEDNN_MAX_CPU_ISA"
_AVX512_CORE: Final = ("avx2", "avx512_f")
_LEFT_BY_LIMIT: Final[dict[str, tuple[str, ...]]] = {
    "SSE41": (),
    "AVX": (),
    "AVX2": ("avx2",),
    "AVX2_VNNI": ("avx2", "avx_vnni"),
    "AVX2_VNNI_2": ("avx2", "avx_vnni"),
    "AVX512_CORE": _AVX512_CORE,
    "AVX512_CORE_VNNI": (*_AVX512_CORE, "avx512_vnni"),
    "AVX512_CORE_BF16": (*_AVX512_CORE, "avx512_vnni", "avx512_bf16"),
    "AVX512_CORE_FP16": (*_AVX512_CORE, "avx512_vnni", "avx512_bf16", "avx_vnni"),
}


def _has(name: str) -> bool:
    left = _LEFT_BY_LIMIT.get(os.environ.get(_LIMIT, "").upper())
    return (left is None or name in left) and bool(torch.cpu.get_capabilities().get(name))


def has_matrix_unit() -> bool:
    """Whether it multiplies bfloat16 matrices in hardware (Intel's AMX)."""
    return _has("amx_tile") and bool(torch.cpu._is_amx_tile_supported())


def has_byte_products() -> bool:
    """Whether it adds up products of bytes in vectors of 512 bits (AVX-512 VNNI)."""
    return _has("avx512_vnni")


def has_vectors_of_pairs() -> bool:
    """Whether it multiplies pairs of 16 bits in vectors of 256 bits (AVX2)."""
    return _has("avx2")


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
    """The best of its instructions for int8 products, as oneDNN would use it."""
    names = ("amx_int8", "avx512_vnni", "avx_vnni", "avx512_f", "avx2")
    best = next((name for name in names if _has(name)), "x86")
    return (best + os.environ.get(_LIMIT, "")).lower()


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
    with a matrix unit do not, and the kernels run 5 to 30 % faster. And a cache named by the
    kernels' sources: numba by itself does not see that a piece from another file has changed.

    Args:
        folder: for the compiled code of all versions.
    """
    if "numba" in sys.modules:
        return
    os.environ.setdefault("NUMBA_CACHE_DIR", str(compiled_folder(folder)))
    for path in Path(os.environ["NUMBA_CACHE_DIR"]).rglob("*.nb*"):
        mark_used(path)
    if has_matrix_unit() and "NUMBA_CPU_FEATURES" not in os.environ:
        from llvmlite import binding

        features = binding.get_host_cpu_features().flatten()
        os.environ["NUMBA_CPU_NAME"] = binding.get_host_cpu_name()
        os.environ["NUMBA_CPU_FEATURES"] = f"{features},-prefer-256-bit"
