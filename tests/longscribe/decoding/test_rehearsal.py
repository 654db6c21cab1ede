"""Kernels are compiled once, by a process of their own, and heard by one silent window."""

import threading
from pathlib import Path

import pytest
import torch

from longscribe.decoding import rehearsal
from longscribe.decoding.chunk import rehearse_first_layers
from longscribe.engine.network import Network
from longscribe.models.weights import ModelSpec
from longscribe.options import DecodingOptions


@pytest.fixture
def folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setattr(rehearsal._numba, "CACHE_DIR", str(tmp_path / "kernels"))
    return tmp_path / "kernels"


@pytest.fixture
def compiled(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """What was asked to be compiled; it takes a moment."""
    asked: list[bytes] = []

    def compile_elsewhere(given: bytes) -> bool:
        asked.append(given)
        threading.Event().wait(0.3)
        return True

    monkeypatch.setattr(rehearsal, "_compiled_elsewhere", compile_elsewhere)
    return asked


def have_compiled(demo: ModelSpec, kind: str = "int8") -> None:
    rehearsal.have_compiled(demo, DecodingOptions(), kind)


def test_one_of_several_has_them_compiled_and_the_others_wait(
    demo: ModelSpec, folder: Path, compiled: list[bytes]
) -> None:
    there = []

    def wait() -> None:
        have_compiled(demo)
        there.append(any(folder.glob("*.compiled")))

    threads = [threading.Thread(target=wait) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert there == [True] * 3
    assert len(compiled) == 1
    have_compiled(demo, "float32")  # whose kernels are others
    assert len(compiled) == 2


def test_another_processor_s_are_others(
    monkeypatch: pytest.MonkeyPatch, demo: ModelSpec, folder: Path, compiled: list[bytes]
) -> None:
    for name, features in (("haswell", ""), ("haswell", "+avx512f"), ("alderlake", "")):
        monkeypatch.setattr(rehearsal._numba, "CPU_NAME", name)
        monkeypatch.setattr(rehearsal._numba, "CPU_FEATURES", features)
        have_compiled(demo)
    assert len(compiled) == 3


def test_what_failed_is_tried_again_and_a_folder_that_cannot_be_is_left(
    monkeypatch: pytest.MonkeyPatch, demo: ModelSpec, folder: Path
) -> None:
    monkeypatch.setattr(rehearsal, "_COMPILE", "raise SystemExit(1)")
    have_compiled(demo)
    assert not any(folder.glob("*.compiled"))
    monkeypatch.setattr(rehearsal, "_COMPILE", "import pickle, sys; pickle.load(sys.stdin.buffer)")
    have_compiled(demo)
    assert any(folder.glob("*.compiled"))
    blocked = folder.parent / "file"
    blocked.touch()
    monkeypatch.setattr(rehearsal._numba, "CACHE_DIR", str(blocked / "kernels"))
    have_compiled(demo)


def test_one_that_hangs_is_ended(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    monkeypatch.setattr(rehearsal, "_COMPILE", "import time; time.sleep(60)")
    monkeypatch.setattr(rehearsal, "_WITHIN_S", 0.5)
    assert not rehearsal._compiled_elsewhere(b"")


def test_the_silent_window_leaves_the_network_as_it_was(
    demo: ModelSpec, int8: Network, mels: list[torch.Tensor]
) -> None:
    int8.encode(mels[:1])
    before = int8.start([0], [50258, 50259, 50359], 0, 1).first.logits
    rehearse_first_layers(demo, DecodingOptions())
    assert torch.equal(before, int8.start([0], [50258, 50259, 50359], 0, 1).first.logits)
