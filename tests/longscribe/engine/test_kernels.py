"""Each kernel against torch."""

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from numba import njit
from torch.nn import functional

from longscribe.engine import kernels
from longscribe.engine.kernels import ZERO_CODE
from longscribe.engine.network import HEAD_DIM

Floats = npt.NDArray[np.float32]

HEADS = 2
WIDTH = HEADS * HEAD_DIM


@pytest.fixture
def random() -> np.random.Generator:
    return np.random.default_rng(0)


def normal(random: np.random.Generator, *shape: int, scale: float = 1.0) -> Floats:
    return random.normal(0.0, scale, shape).astype(np.float32)


class Codes:
    def __init__(self, rows: int, width: int) -> None:
        self.codes = np.full((rows, width), 99, np.uint8)
        self.scales = np.full(rows, np.nan, np.float32)

    @property
    def numbers(self) -> npt.NDArray[np.int64]:
        """What the codes stand for, in steps."""
        return self.codes.astype(np.int64) - ZERO_CODE

    def check(self, expected: torch.Tensor, tolerance: float = 1e-5) -> None:
        """As near as int8 can be: half a step off at most, and all of its range in use."""
        wanted = expected.numpy()
        steps = self.scales[:, None]
        assert np.all(np.abs(self.numbers * steps - wanted) <= 0.5 * steps + tolerance)
        assert np.abs(self.numbers).max(axis=1).tolist() == [127] * len(wanted)
        largest = np.abs(wanted).max(axis=1)
        assert self.scales * 127 == pytest.approx(largest, rel=1e-4, abs=tolerance)


def layer_norm(x: torch.Tensor, weight: Floats, bias: Floats) -> torch.Tensor:
    return functional.layer_norm(
        x, x.shape[-1:], torch.from_numpy(weight), torch.from_numpy(bias), eps=1e-5
    )


def test_exponential(random: np.random.Generator) -> None:
    @njit
    def exponentials(x: Any, out: Any) -> None:
        for i in range(x.shape[0]):
            out[i] = kernels.exp(x[i])

    x = np.concatenate((-random.exponential(20.0, 500), [0.0, -1e-8, -1.0, -80.0]))
    x = x[x > -87.0].astype(np.float32)
    out = np.empty_like(x)
    exponentials(x, out)
    # The product x / ln 2 is rounded: off by half of its last place.
    rounding = np.abs(x) * np.finfo(np.float32).eps
    assert np.all(np.abs(out / np.exp(x.astype(np.float64)) - 1.0) <= 3e-7 + rounding)
    exponentials(np.array([-1e30, -500.0], np.float32), out)
    assert np.all(out[:2] < 1e-37)


@pytest.mark.parametrize(
    "row", [[-3.0, -1.5, -2.0], [-1.0, 0.0, -0.0], [1.0, 2.5, -9.0], [-1e30, -1e30, -7.0], [4.0]]
)
def test_largest(row: list[float]) -> None:
    @njit
    def largest(x: Any, count: Any) -> Any:
        return kernels.largest_of(x, count)

    array = np.array([*row, 1000.0], np.float32)
    assert largest(array, len(row)) == max(row)


def test_layer_norm(random: np.random.Generator) -> None:
    x = normal(random, 5, WIDTH, scale=3.0) + 2.0
    weight, bias = normal(random, WIDTH) + 1.0, normal(random, WIDTH)
    result = Codes(5, WIDTH)
    kernels.norm_quantize(x, weight, bias, result.codes, result.scales)
    result.check(layer_norm(torch.from_numpy(x), weight, bias))


def test_residual_and_layer_norm(random: np.random.Generator) -> None:
    x, raw = normal(random, 5, WIDTH), normal(random, 5, WIDTH, scale=100.0)
    scale, add = np.abs(normal(random, 5, scale=0.02)), normal(random, WIDTH)
    weight, bias = normal(random, WIDTH) + 1.0, normal(random, WIDTH)
    summed = torch.from_numpy(x + raw * scale[:, None] + add)
    result = Codes(5, WIDTH)
    kernels.add_norm_quantize(x, raw, scale, add, weight, bias, result.codes, result.scales)
    assert torch.allclose(torch.from_numpy(x), summed, atol=1e-5)
    result.check(layer_norm(summed, weight, bias), tolerance=1e-4)


def test_gelu(random: np.random.Generator) -> None:
    raw, scale = normal(random, 6, 4 * WIDTH), np.array([0.01, 0.3, 1.0, 3.0, 10.0, 1e-4])
    bias = normal(random, 4 * WIDTH, scale=0.1)
    result = Codes(6, 4 * WIDTH)
    kernels.gelu_quantize(raw, scale.astype(np.float32), bias, result.codes, result.scales)
    expected = functional.gelu(torch.from_numpy(raw * scale[:, None] + bias).float())
    result.check(expected, tolerance=1.5e-4)


def test_rows_are_quantized_one_by_one(random: np.random.Generator) -> None:
    x = normal(random, 4, WIDTH) * np.array([[1e-6], [1.0], [1e4], [0.3]], np.float32)
    result = Codes(4, WIDTH)
    kernels.quantize_rows(x, result.codes, result.scales)
    result.check(torch.from_numpy(x), tolerance=0.0)


def test_a_row_of_zeros_stays_zero() -> None:
    result = Codes(2, WIDTH)
    kernels.quantize_rows(np.zeros((2, WIDTH), np.float32), result.codes, result.scales)
    assert not result.numbers.any()
    assert np.isfinite(result.scales).all()


def exact_product(random: np.random.Generator, rows: int, width: int) -> tuple[Floats, ...]:
    """Raw, scale, bias and the layer's output, in numbers that float32 adds without rounding."""
    raw = random.integers(-4000, 4000, (rows, width)).astype(np.float32)
    scale = np.float32(2.0) ** random.integers(-8, -4, rows).astype(np.float32)
    bias = random.integers(-500, 500, width).astype(np.float32) / 256
    return raw, scale, bias, raw * scale[:, None] + bias


def test_heads_are_split(random: np.random.Generator) -> None:
    """In parts: the rows from the third on."""
    raw, scale, bias, output = exact_product(random, 7, 3 * WIDTH)
    heads = np.zeros((3, HEADS, 12, HEAD_DIM), np.float32)
    kernels.split_heads(raw, scale, bias, heads, 3)
    expected = torch.from_numpy(output).view(7, 3, HEADS, HEAD_DIM).permute(1, 2, 0, 3)
    assert torch.equal(torch.from_numpy(heads[:, :, 3:10]), expected)
    assert not heads[:, :, :3].any()
    assert not heads[:, :, 10:].any()


def test_bfloat16_is_rounded_as_torch_rounds_it(random: np.random.Generator) -> None:
    @njit
    def convert(x: Any, out: Any) -> None:
        for i in range(x.shape[0]):
            out[i] = kernels.to_bfloat16(x[i])

    between = np.array([1.0 + 2**-8, 1.0 + 3 * 2**-8, -1.0 - 2**-8, 0.0, -0.0, 3e38, 1e-30])
    x = np.concatenate((normal(random, 500, scale=30.0), between.astype(np.float32)))
    bits = np.empty(len(x), np.uint16)
    convert(x, bits)
    assert bits.tolist() == bfloat16_bits(torch.from_numpy(x)).tolist()


def bfloat16_bits(x: torch.Tensor) -> npt.NDArray[np.uint16]:
    bits: npt.NDArray[np.uint16] = x.bfloat16().view(torch.int16).numpy().view(np.uint16)
    return bits


class Caches:
    def __init__(self, slots: int, capacity: int) -> None:
        self.keys = np.zeros((slots, HEADS, capacity, HEAD_DIM), np.uint16)
        self.values = np.zeros((slots, HEADS, capacity, HEAD_DIM), np.uint16)


def attended(output: Floats, caches: Caches, slots: list[int], positions: list[int]) -> Floats:
    output, caches = output.copy(), caches
    out = np.empty((len(output), WIDTH), np.float32)
    kernels.self_attention(
        output,
        np.ones(len(output), np.float32),
        np.zeros(3 * WIDTH, np.float32),
        *(caches.keys, caches.values, np.asarray(slots), np.asarray(positions), out),
    )
    return out


def reference_attention(output: Floats) -> torch.Tensor:
    """torch's causal attention of one row's tokens; keys and values bfloat16 as in the caches."""
    heads = torch.from_numpy(output).view(len(output), 3, HEADS, HEAD_DIM).permute(1, 2, 0, 3)
    query, keys, values = heads[0], heads[1].bfloat16().float(), heads[2].bfloat16().float()
    result = functional.scaled_dot_product_attention(query, keys, values, is_causal=True, scale=1.0)
    return result.transpose(0, 1).reshape(len(output), WIDTH)


def test_self_attention_of_prompts_and_then_of_single_tokens(random: np.random.Generator) -> None:
    """Rows of equal length lie in slots out of order; their prompts are read at once."""
    rows = {slot: normal(random, 6, 3 * WIDTH) for slot in (4, 0, 3)}
    for output in rows.values():
        output[:, :WIDTH] /= 4.0  # neither flat nor sharp
    expected = {slot: reference_attention(output) for slot, output in rows.items()}
    caches = Caches(slots=5, capacity=6)
    prompt = 3
    found = attended(
        np.concatenate([output[:prompt] for output in rows.values()]),
        caches,
        np.repeat(list(rows), prompt).tolist(),
        [*range(prompt)] * len(rows),
    )
    wanted = torch.cat([result[:prompt] for result in expected.values()])
    assert found == pytest.approx(wanted.numpy(), abs=2e-5)
    for position in range(prompt, 6):
        found = attended(
            np.stack([output[position] for output in rows.values()]),
            caches,
            list(rows),
            [position] * len(rows),
        )
        wanted = torch.stack([result[position] for result in expected.values()])
        assert found == pytest.approx(wanted.numpy(), abs=2e-5)


def test_self_attention_of_scores_far_apart(random: np.random.Generator) -> None:
    """Softmax of scores in the thousands: no overflow, and the largest takes all."""
    output = normal(random, 5, 3 * WIDTH)
    output[:, :WIDTH] *= 1000.0
    found = attended(output, Caches(1, 5), [0] * 5, [*range(5)])
    assert found == pytest.approx(reference_attention(output).numpy(), abs=1e-4)


def test_copied_slots_hold_what_was_read_so_far(random: np.random.Generator) -> None:
    caches = random.integers(0, 2**16, (2, 5, HEADS, 8, HEAD_DIM)).astype(np.uint16)
    before = caches.copy()
    kernels.copy_slots(caches, np.array([0, 0, 3]), np.array([1, 4, 2]), 6)
    expected = before.copy()
    expected[:, [1, 4, 2], :, :6] = before[:, [0, 0, 3], :, :6]
    assert np.array_equal(caches, expected)
