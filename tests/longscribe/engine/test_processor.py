"""What is chosen by the processor's abilities."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from longscribe.cache import kernels
from longscribe.cache.kernels import KERNEL_SOURCES
from longscribe.engine import processor


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
    for limit in ("SSE41", "AVX"):
        capable_of(monkeypatch, "avx2", "avx512_vnni", limit=limit)
        assert 2 * 255 * processor.integer_range() < 2**15
    for able in ("avx2",), ("avx2", "avx512_vnni"), ("avx2", "avx_vnni"):
        capable_of(monkeypatch, *able)
        assert processor.integer_range() == 127


@pytest.mark.parametrize(
    ("limit", "lacks", "long"),
    [
        ("", False, True),
        ("ALL", False, True),
        ("AVX512_CORE_VNNI", False, True),
        ("AVX512_CORE", True, False),
        ("AVX2_VNNI", False, False),
        ("avx2", True, False),
        ("SSE41", False, False),
    ],
)
def test_a_lesser_processor_is_imitated_by_limiting_onednn(
    monkeypatch: pytest.MonkeyPatch, limit: str, lacks: bool, long: bool
) -> None:
    names = ("avx2", "avx_vnni", "avx512_f", "avx512_bw", "avx512_vnni", "avx512_bf16", "amx_tile")
    capable_of(monkeypatch, *names, limit=limit)
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: True)
    assert processor.lacks_byte_products() == lacks
    assert processor.has_byte_products() == long
    assert processor.has_vectors_of_pairs() == (limit != "SSE41")
    assert processor.has_long_vectors() == (limit in ("", "ALL") or "512" in limit)
    assert processor.has_matrix_unit() == (limit in ("", "ALL"))
    assert processor.has_bfloat16_products() == (limit in ("", "ALL"))


def test_instruction_sets_have_names_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    ables = (("avx2",), ("avx2", "avx_vnni"), ("avx2", "avx512_f"), ("avx2", "amx_int8"), ())
    for limit, count in (("", 5), ("AVX2", 2)):
        names = set()
        for able in ables:
            capable_of(monkeypatch, *able, limit=limit)
            names.add(processor.instructions())
        assert len(names) == count


def test_what_vectors_can_multiply(monkeypatch: pytest.MonkeyPatch) -> None:
    capable_of(monkeypatch, "avx2", "avx_vnni")
    assert not processor.has_byte_products()
    capable_of(monkeypatch, "avx2", "avx512_f", "avx512_vnni")
    assert processor.has_byte_products()
    monkeypatch.setattr(processor, "has_matrix_unit", lambda: False)
    assert not processor.has_bfloat16_products()
    capable_of(monkeypatch, "avx512_bf16")
    assert processor.has_bfloat16_products()
    monkeypatch.setattr(processor, "has_matrix_unit", lambda: True)
    capable_of(monkeypatch)
    assert processor.has_bfloat16_products()


def test_every_file_that_numba_compiles_is_among_the_sources() -> None:
    """A change of any of them is another folder; numba would go on with what it had compiled."""
    package = Path(processor.__file__).parents[1]
    compiled = {
        str(path.relative_to(package))
        for path in package.rglob("*.py")
        if "from numba import" in path.read_text()
    }
    assert compiled
    assert compiled <= set(KERNEL_SOURCES)


def test_kernels_are_kept_by_their_sources(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delitem(sys.modules, "numba")
    monkeypatch.setattr(processor, "has_matrix_unit", lambda: False)
    folders = []
    for digest in ("one" * 10, "other" * 10):
        monkeypatch.delenv("NUMBA_CACHE_DIR", raising=False)
        monkeypatch.setattr(kernels, "sources_sha256", lambda paths, digest=digest: digest)
        processor.set_up_numba(tmp_path)
        folders.append(Path(os.environ["NUMBA_CACHE_DIR"]))
    assert len(set(folders)) == 2
    assert {folder.parent for folder in folders} == {tmp_path}


def test_a_first_run_is_told_from_others(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("LONGSCRIBE_CACHE", str(tmp_path))
    assert not kernels.are_compiled()
    folder = kernels.compiled_folder(kernels.kernels_folder()) / "engine"
    folder.mkdir(parents=True)
    (folder / "kernels.norm-1.py311.nbc").touch()
    assert kernels.are_compiled()


ASK = """
import sys
from pathlib import Path
from longscribe.cache import kernels
from longscribe.cache.kernels import KERNEL_SOURCES
from longscribe.engine import processor
processor.has_matrix_unit = lambda: True
processor.set_up_numba(Path(sys.argv[1]))
from numba.core import config
print(config.CACHE_DIR.startswith(sys.argv[1]), "-prefer-256-bit" in config.CPU_FEATURES)
"""


@pytest.mark.parametrize(
    ("chosen", "expected"),
    [
        ({}, "True True"),
        ({"NUMBA_CPU_NAME": "generic", "NUMBA_CPU_FEATURES": "+sse2"}, "True False"),
        ({"NUMBA_CACHE_DIR": "/elsewhere"}, "False True"),
        ({"ONEDNN_MAX_CPU_ISA": "SSE41"}, "True False"),
    ],
)
def test_numba_is_told_before_it_is_imported_and_what_the_user_chose_stays(
    tmp_path: Path, chosen: dict[str, str], expected: str
) -> None:
    environment = {name: v for name, v in os.environ.items() if not name.startswith("NUMBA_")}
    ran = subprocess.run(
        [sys.executable, "-c", ASK, str(tmp_path)],
        env={**environment, **chosen},
        cwd=Path(processor.__file__).parents[2],
        capture_output=True,
        text=True,
    )
    assert ran.stdout.strip() == expected, ran.stderr
