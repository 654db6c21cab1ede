"""The encoder's attention in pairs of 12 bits, against torch."""

import numpy as np
import pytest
import torch

from longscribe.engine.kernels import CONTEXT
from longscribe.engine.pair_attention import PairAttention
from longscribe.engine.processor import has_vectors_of_pairs
from tests.longscribe.engine.test_vnni_attention import WIDTH, attended, exact, normal

pytestmark = pytest.mark.skipif(not has_vectors_of_pairs(), reason="no AVX2 on this processor")


@pytest.mark.parametrize("offset", [0.0, 3.0])
@pytest.mark.parametrize("sharpness", [0.0, 0.1, 1.0, 4.0])
def test_attention_is_nearer_than_bfloat16_is(sharpness: float, offset: float) -> None:
    output = normal(CONTEXT, 3 * WIDTH)
    output[:, :WIDTH] *= sharpness
    output[:, WIDTH : 2 * WIDTH] += offset * normal(WIDTH)  # channels that all keys share
    wanted = exact(output)
    off = (attended(output, PairAttention) - wanted).norm()
    assert off <= 0.5 * (exact(output, torch.bfloat16) - wanted).norm() + 2**-10 * wanted.norm()


def test_many_positions_that_matter_little_each_count_together() -> None:
    """One has a ten thousandth of the largest weight for each of the others: an eighth in all."""
    output = np.zeros((CONTEXT, 3 * WIDTH), np.float32)
    output[:, :WIDTH] = 1.0
    output[700, WIDTH : 2 * WIDTH] = np.log(1e4) / 64
    output[:, 2 * WIDTH :] = 1.0
    output[700, 2 * WIDTH :] = 0.0
    wanted = exact(output)
    assert (attended(output, PairAttention) - wanted).norm() <= 0.05 * wanted.norm()


def test_zeros_and_large_numbers_are_no_trouble() -> None:
    assert not attended(np.zeros((CONTEXT, 3 * WIDTH), np.float32), PairAttention).any()
    output = normal(CONTEXT, 3 * WIDTH)
    output[:, : 2 * WIDTH] *= 30.0  # scores of thousands: each query has one key
    assert attended(output, PairAttention).isfinite().all()
    values = torch.from_numpy(output[:, 2 * WIDTH :])
    assert attended(output, PairAttention).abs().max() <= 1.01 * values.abs().max()
