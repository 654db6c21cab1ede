import struct
from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks.ggml_format import encode, from_q8_0, q8_0, write_ggml
from benchmarks.widen import DEMO_CHECKPOINT

MATRIX = np.random.default_rng(3).normal(0.0, 1.0, (64, 96)).astype(np.float32)


def test_a_block_is_a_scale_and_32_bytes() -> None:
    data = q8_0(np.full((1, 32), -12.7, np.float32))
    assert len(data) == 34
    assert np.frombuffer(data[:2], np.float16)[0] == np.float16(0.1)
    assert data[2:] == struct.pack("b", -127) * 32


def test_blocks_stand_for_the_matrix() -> None:
    found = from_q8_0(q8_0(MATRIX), MATRIX.shape)
    largest = np.abs(MATRIX.reshape(-1, 32)).max(axis=1).repeat(32).reshape(MATRIX.shape)
    # Half a step, and the scale's own rounding to float16.
    assert (np.abs(found - MATRIX) <= largest * (0.5 / 127 + 2**-11)).all()


def test_zeros_stay_zero() -> None:
    rows = np.zeros((2, 64), np.float32)
    assert np.array_equal(from_q8_0(q8_0(rows), rows.shape), rows)


@pytest.mark.parametrize(
    ("name", "shape", "kind", "written"),
    [
        ("encoder.conv1.bias", (64,), 0, (64, 1)),
        ("encoder.conv1.weight", (64, 80, 3), 1, (64, 80, 3)),
        ("encoder.positional_embedding", (32, 64), 0, (32, 64)),
        ("decoder.token_embedding.weight", (32, 64), 8, (32, 64)),
        ("encoder.blocks.0.attn_ln.weight", (64,), 0, (64,)),
    ],
)
def test_kinds_are_those_of_whisper_cpps_quantizer(
    name: str, shape: tuple[int, ...], kind: int, written: tuple[int, ...]
) -> None:
    encoded = encode(name, np.ones(shape, np.float32), "q8_0")
    assert (encoded.kind, encoded.shape) == (kind, written)


@pytest.mark.parametrize("precision", ["f16", "q8_0"])
def test_whisper_cpp_hears_the_sample(tmp_path: Path, precision: str) -> None:
    pywhispercpp = pytest.importorskip("pywhispercpp.model")
    path = tmp_path / "demo.bin"
    checkpoint = torch.load(DEMO_CHECKPOINT, map_location="cpu", weights_only=True)
    write_ggml(checkpoint, path, precision)
    model = pywhispercpp.Model(
        str(path), n_threads=2, print_progress=False, redirect_whispercpp_logs_to=None
    )
    segments = model.transcribe("demo/synthetic.opus", language="en", duration_ms=9_000)
    assert segments[0].text == "We will paint the heavy report on Monday afternoon."
