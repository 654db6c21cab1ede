"""What the processor can do, as far as the engine chooses its arithmetic by it."""

import os
import sys
from functools import cache

import torch


def has_matrix_unit() -> bool:
    """Whether it multiplies bfloat16 matrices in hardware (Intel's AMX)."""
    return bool(torch.cpu._is_amx_tile_supported())


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


def use_wide_vectors() -> None:
    """Let numba use 512-bit vectors; to be called before numba is imported.

    LLVM avoids them by itself, as older processors slow down for them. Those with a matrix unit do
    not, and the kernels run 5 to 30 % faster.
    """
    if "numba" in sys.modules or "NUMBA_CPU_FEATURES" in os.environ or not has_matrix_unit():
        return
    from llvmlite import binding

    os.environ["NUMBA_CPU_NAME"] = binding.get_host_cpu_name()
    os.environ["NUMBA_CPU_FEATURES"] = (
        binding.get_host_cpu_features().flatten() + ",-prefer-256-bit"
    )
