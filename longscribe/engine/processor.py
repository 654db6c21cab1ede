"""What the processor can do, as far as the engine chooses its arithmetic by it."""

import os
import sys
from functools import cache
from pathlib import Path

import torch

from longscribe.cache.folder import mark_used
from longscribe.cache.kernels import compiled_folder


def has_matrix_unit() -> bool:
    """Whether it multiplies bfloat16 matrices in hardware (Intel's AMX)."""
    return bool(torch.cpu._is_amx_tile_supported())


def has_byte_products() -> bool:
    """Whether it adds up products of bytes in vectors of 512 bits (AVX-512 VNNI)."""
    return bool(torch.cpu.get_capabilities().get("avx512_vnni"))


def has_bfloat16_products() -> bool:
    """Whether products of bfloat16 take half as long as those of float32, or less."""
    return has_matrix_unit() or bool(torch.cpu.get_capabilities().get("avx512_bf16"))


@cache
def instructions() -> str:
    """The best of its instructions for int8 products, as oneDNN would use it."""
    capability = torch.cpu.get_capabilities()
    names = ("amx_int8", "avx512_vnni", "avx_vnni", "avx512_f", "avx2")
    best = next((name for name in names if capability.get(name)), "x86")
    return (best + os.environ.get("ONEDNN_MAX_CPU_ISA", "")).lower()


def integer_range() -> int:
    """The largest weight that int8 products stand.

    Without VNNI, pairs of products are added in 16 bits, which full-range weights overflow (oneDNN,
    "Nuances of int8 computations").
    """
    capability = torch.cpu.get_capabilities()
    limited = os.environ.get("ONEDNN_MAX_CPU_ISA", "").upper() in ("AVX2", "AVX512_CORE", "SSE41")
    vnni = capability.get("avx512_vnni") or capability.get("avx_vnni")
    return 127 if vnni and not limited else 63


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
