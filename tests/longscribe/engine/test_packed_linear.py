"""int8 products are used only where they were tried out and found right."""

from pathlib import Path

import pytest

from longscribe.decoding.chunk import arithmetic
from longscribe.engine import packed_linear
from longscribe.options import DecodingOptions
from tests.longscribe.engine.test_mapped_weights import needs_int8

WAYS_TO_FAIL = {
    "an operator that is gone": "raise AttributeError('no such operator')",
    "a wrong product": "raise AssertionError('not close')",
    "a crash": "import os, signal; os.kill(os.getpid(), signal.SIGSEGV)",
}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LONGSCRIBE_CACHE", str(tmp_path))
    packed_linear.has_int8_products.cache_clear()
    yield tmp_path
    packed_linear.has_int8_products.cache_clear()


@needs_int8
def test_what_passed_is_not_tried_again(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert packed_linear.has_int8_products()
    (record,) = folder.rglob("*.passed")
    assert packed_linear.instructions() in record.name
    packed_linear.has_int8_products.cache_clear()
    monkeypatch.setattr(packed_linear.subprocess, "run", None)
    assert packed_linear.has_int8_products()


@needs_int8
@pytest.mark.parametrize("way", WAYS_TO_FAIL)
def test_whatever_fails_in_the_trial_leaves_float32(
    folder: Path, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    monkeypatch.setattr(packed_linear, "_TRIAL", WAYS_TO_FAIL[way])
    assert not packed_linear.has_int8_products()
    assert arithmetic(DecodingOptions()).precision == "float32"
    assert not list(folder.rglob("*.passed"))


@needs_int8
def test_the_trial_compares(monkeypatch: pytest.MonkeyPatch) -> None:
    packed_linear.try_out()
    monkeypatch.setattr(
        packed_linear.PackedLinear, "product", lambda self, codes: 0.0 * codes[:, :64]
    )
    with pytest.raises(AssertionError):
        packed_linear.try_out()
