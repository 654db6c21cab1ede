"""What is chosen by the processor's abilities."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from longscribe import processor


def capable_of(monkeypatch: pytest.MonkeyPatch, *names: str, limit: str = "") -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: dict.fromkeys(names, True))
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", limit)
    processor.instructions.cache_clear()


@pytest.fixture(autouse=True)
def forgotten() -> Iterator[None]:
    yield
    processor.instructions.cache_clear()


def test_weights_use_half_their_range_where_products_could_overflow(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Two products of a byte and a weight must fit into 16 bits: 2 * 255 * 64 < 2 ** 15."""
    capable_of(monkeypatch, "avx2")
    assert 2 * 255 * processor.integer_range() < 2**15
    capable_of(monkeypatch, "avx2", "avx512_vnni")
    assert processor.integer_range() == 127
    capable_of(monkeypatch, "avx2", "avx512_vnni", limit="AVX2")
    assert 2 * 255 * processor.integer_range() < 2**15


def test_instruction_sets_have_names_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    names = set()
    for able in (("avx2",), ("avx2", "avx_vnni"), ("avx2", "avx512_f"), ("avx2", "amx_int8"), ()):
        for limit in ("", "AVX2"):
            capable_of(monkeypatch, *able, limit=limit)
            names.add(processor.instructions())
    assert len(names) == 10


ASK = """
from longscribe import processor
processor.has_matrix_unit = lambda: True
processor.use_wide_vectors()
import numba
from numba.core import config
print(config.CPU_NAME, "-prefer-256-bit" in config.CPU_FEATURES)
"""


def test_numba_is_told_of_wide_vectors_before_it_is_imported() -> None:
    def told(**environment: str) -> str:
        ran = subprocess.run(
            [sys.executable, "-c", ASK],
            env={**os.environ, **environment},
            cwd=Path(processor.__file__).parents[1],
            capture_output=True,
            text=True,
            check=True,
        )
        return ran.stdout.split()[-1]

    assert told() == "True"
    assert told(NUMBA_CPU_NAME="generic", NUMBA_CPU_FEATURES="+sse2") == "False"
