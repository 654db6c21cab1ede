"""Softmax's loops against numpy."""

from typing import Any

import numpy as np
import pytest
from numba import njit

from longscribe.engine.processor import has_byte_products
from longscribe.engine.vectors import exponentials, largest_float

pytestmark = pytest.mark.skipif(not has_byte_products(), reason="needs AVX-512")

WIDTH = 96


@njit
def softmax_row(scores: Any, row: Any, weights: Any) -> Any:
    largest = largest_float(scores, row * 4 * WIDTH, 4 * WIDTH)
    total = exponentials(scores, row * 4 * WIDTH, largest, weights, row * 2 * WIDTH, 4 * WIDTH)
    return largest, total


@pytest.mark.parametrize("scale", [0.01, 4.0, 40.0])
def test_a_row_is_made_weights(scale: float) -> None:
    random = np.random.default_rng(0)
    scores = random.normal(-3.0, scale, (3, WIDTH)).astype(np.float32)
    scores[1, 90:] = -3e38
    weights = np.full((3, WIDTH), 7, np.uint16)
    largest, total = softmax_row(scores, 1, weights)
    assert largest == scores[1].max()
    expected = np.exp(scores[1].astype(np.float64) - largest)
    found = (weights[1].astype(np.uint32) << 16).view(np.float32)
    assert found == pytest.approx(expected, rel=2**-8, abs=1e-37)
    assert not found[90:].any()
    assert total == pytest.approx(expected.sum(), rel=2e-4)
    assert np.all(weights[[0, 2]] == 7)  # and no other
