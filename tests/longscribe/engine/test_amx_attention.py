"""The encoder's attention on AMX, against torch."""

import numpy as np
import pytest
import torch
from torch.nn import functional

from longscribe.engine.amx_attention import MatrixUnitAttention
from longscribe.engine.kernels import CONTEXT
from longscribe.engine.network import HEAD_DIM
from longscribe.engine.processor import has_matrix_unit

pytestmark = pytest.mark.skipif(not has_matrix_unit(), reason="no AMX on this processor")

HEADS = 3
WIDTH = HEADS * HEAD_DIM


@pytest.mark.parametrize("sharpness", [0.0, 0.1, 1.0, 10.0])
def test_attention_is_torch_s_to_bfloat16(sharpness: float) -> None:
    random = np.random.default_rng(0)
    output = random.normal(0.0, 1.0, (CONTEXT, 3 * WIDTH)).astype(np.float32)
    output[:, :WIDTH] *= sharpness
    scale = np.exp2(random.integers(-3, 3, CONTEXT)).astype(np.float32)
    bias = np.zeros(3 * WIDTH, np.float32)
    attention = MatrixUnitAttention(HEADS)
    out = np.full((CONTEXT, WIDTH), np.nan, np.float32)
    for again in (2.0, 1.0):  # the second window finds nothing of the first
        raw = again * output / scale[:, None]
        for first in range(0, CONTEXT, 192):
            rows = slice(first, first + 192)
            attention.take(raw[rows], scale[rows], bias, first)
        attention.attend(out)
    heads = torch.from_numpy(output).view(CONTEXT, 3, HEADS, HEAD_DIM).permute(1, 2, 0, 3)
    query, keys, values = heads.bfloat16().float()
    expected = functional.scaled_dot_product_attention(query, keys, values, scale=1.0)
    difference = torch.from_numpy(out) - expected.transpose(0, 1).reshape(CONTEXT, WIDTH)
    # Weights are rounded to bfloat16, to 2 ** -9 of each at most, and so off in sum by less.
    assert difference.abs().max() <= 2**-8 * values.abs().max()
    assert difference.norm() <= 2**-8 * expected.norm()
