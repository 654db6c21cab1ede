"""The decoder's products of bytes, against the same in whole numbers."""

import numpy as np
import pytest

from longscribe.engine.kernels import ZERO_CODE
from longscribe.engine.processor import has_byte_products
from longscribe.engine.vnni_gemm import multiplied, tiled

OUTPUTS = 32  # of a tile

pytestmark = pytest.mark.skipif(not has_byte_products(), reason="no VNNI on this processor")


def rows_and_weights(rows: int, inputs: int, outputs: int) -> tuple[np.ndarray, np.ndarray]:
    chance = np.random.default_rng(rows)
    codes = chance.integers(1, 256, (rows, inputs)).astype(np.uint8)
    return codes, chance.integers(-127, 128, (outputs, inputs)).astype(np.int8)


@pytest.mark.parametrize("rows", [*range(1, 26), 60])
@pytest.mark.parametrize(("inputs", "outputs"), [(64, OUTPUTS), (256, 3 * OUTPUTS + 25), (2048, 7)])
def test_the_product_is_exact(rows: int, inputs: int, outputs: int) -> None:
    codes, weights = rows_and_weights(rows, inputs, outputs)
    scales = np.exp2(np.random.default_rng(0).integers(-3, 3, outputs)).astype(np.float32)
    found = multiplied(codes, tiled(weights, scales), len(weights))
    wanted = (codes.astype(np.int64) - ZERO_CODE) @ weights.astype(np.int64).T
    np.testing.assert_array_equal(found, wanted.astype(np.float32) * scales)


@pytest.mark.parametrize("code", [1, 255])
def test_the_largest_numbers_do_not_overflow(code: int) -> None:
    weights = np.full((OUTPUTS, 5120), 127, np.int8)  # as many inputs as large has
    codes = np.full((1, 5120), code, np.uint8)
    scales = np.ones(OUTPUTS, np.float32)
    found = multiplied(codes, tiled(weights, scales), len(weights))
    assert (found == np.float32((code - ZERO_CODE) * 127 * 5120)).all()


def test_no_rows_have_no_products() -> None:
    codes, weights = rows_and_weights(0, 64, 10)
    found = multiplied(codes, tiled(weights, np.ones(10, np.float32)), 10)
    assert found.shape == (0, 10)
