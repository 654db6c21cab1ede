"""The encoder's attention in bytes, against torch."""

import numpy as np
import pytest
import torch
from torch.nn import functional

from longscribe.engine.kernels import CONTEXT
from longscribe.engine.network import HEAD_DIM
from longscribe.engine.pair_attention import PairAttention
from longscribe.engine.processor import has_byte_products
from longscribe.engine.vnni_attention import ByteAttention

pytestmark = pytest.mark.skipif(not has_byte_products(), reason="no VNNI on this processor")

HEADS = 3
WIDTH = HEADS * HEAD_DIM


def attended(
    output: np.ndarray, way: type[ByteAttention | PairAttention] = ByteAttention
) -> torch.Tensor:
    """What comes of a linear layer's output (1500, 3 WIDTH), after a window of something else."""
    scale = np.exp2(np.random.default_rng(1).integers(-3, 3, CONTEXT)).astype(np.float32)
    bias = np.zeros(3 * WIDTH, np.float32)
    attention = way(HEADS)
    out = np.full((CONTEXT, WIDTH), np.nan, np.float32)
    for again in (2.0, 1.0):
        raw = again * output / scale[:, None]
        for first in range(0, CONTEXT, 192):
            rows = slice(first, first + 192)
            attention.take(raw[rows], scale[rows], bias, first)
        attention.attend(out)
    return torch.from_numpy(out)


def exact(output: np.ndarray, kind: torch.dtype = torch.float32) -> torch.Tensor:
    """The same by torch, with queries, keys and values rounded to `kind`."""
    heads = torch.from_numpy(output).view(CONTEXT, 3, HEADS, HEAD_DIM).permute(1, 2, 0, 3)
    query, keys, values = heads.to(kind).float()
    result = functional.scaled_dot_product_attention(query, keys, values, scale=1.0)
    return result.transpose(0, 1).reshape(CONTEXT, WIDTH)


def normal(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).normal(0.0, 1.0, shape).astype(np.float32)


@pytest.mark.parametrize("offset", [0.0, 3.0])
@pytest.mark.parametrize("sharpness", [0.0, 0.1, 1.0, 4.0])
def test_attention_is_off_by_a_few_times_what_bfloat16_is(sharpness: float, offset: float) -> None:
    output = normal(CONTEXT, 3 * WIDTH)
    output[:, :WIDTH] *= sharpness
    output[:, WIDTH : 2 * WIDTH] += offset * normal(WIDTH)  # channels that all keys share
    wanted = exact(output)
    off = (attended(output) - wanted).norm()
    assert off <= 4.0 * (exact(output, torch.bfloat16) - wanted).norm() + 2**-7 * wanted.norm()


def test_a_position_that_much_attention_rests_on_may_hold_little() -> None:
    """Values of one are a thousandth of the others', and it takes nearly all of the weight."""
    output = normal(CONTEXT, 3 * WIDTH)
    output[:, :WIDTH] = 1.0
    output[700, WIDTH : 2 * WIDTH] = 0.15
    output[700, 2 * WIDTH :] *= 1e-3
    wanted = exact(output)
    assert (attended(output) - wanted).norm() <= 0.05 * wanted.norm()


def test_zeros_and_large_numbers_are_no_trouble() -> None:
    assert not attended(np.zeros((CONTEXT, 3 * WIDTH), np.float32)).any()
    output = normal(CONTEXT, 3 * WIDTH)
    output[:, : 2 * WIDTH] *= 30.0  # scores of thousands: each query has one key
    assert attended(output).isfinite().all()
    values = torch.from_numpy(output[:, 2 * WIDTH :])
    assert attended(output).abs().max() <= 1.01 * values.abs().max()
