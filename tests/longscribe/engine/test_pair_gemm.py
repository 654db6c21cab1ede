"""Products of pairs of 16 bits, against the same in whole numbers."""

import numpy as np
import pytest

from longscribe.engine.kernels import LARGEST_PAIR_CODE
from longscribe.engine.pair_gemm import _TILE, multiplied_in_pairs, pair_tiled
from longscribe.engine.processor import has_vectors_of_pairs

pytestmark = pytest.mark.skipif(not has_vectors_of_pairs(), reason="no AVX2 on this processor")


def rows_and_weights(rows: int, inputs: int, outputs: int) -> tuple[np.ndarray, np.ndarray]:
    chance = np.random.default_rng(rows)
    codes = chance.integers(-LARGEST_PAIR_CODE, LARGEST_PAIR_CODE + 1, (rows, inputs))
    return codes.astype(np.int16), chance.integers(-127, 128, (outputs, inputs)).astype(np.int8)


@pytest.mark.parametrize("rows", [*range(1, 14), 60])
@pytest.mark.parametrize(("inputs", "outputs"), [(64, _TILE), (256, 3 * _TILE + 9), (2048, 7)])
def test_the_product_is_exact(rows: int, inputs: int, outputs: int) -> None:
    codes, weights = rows_and_weights(rows, inputs, outputs)
    scales = np.exp2(np.random.default_rng(0).integers(-3, 3, outputs)).astype(np.float32)
    found = multiplied_in_pairs(codes, pair_tiled(weights, scales), len(weights))
    wanted = codes.astype(np.int64) @ weights.astype(np.int64).T
    np.testing.assert_array_equal(found, wanted.astype(np.float32) * scales)


@pytest.mark.parametrize("code", [-LARGEST_PAIR_CODE, LARGEST_PAIR_CODE])
def test_the_largest_numbers_do_not_overflow(code: int) -> None:
    weights = np.full((_TILE, 5120), 127, np.int8)  # as many inputs as large has
    codes = np.full((1, 5120), code, np.int16)
    found = multiplied_in_pairs(codes, pair_tiled(weights, np.ones(_TILE, np.float32)), _TILE)
    assert (found == np.float32(code * 127 * 5120)).all()


def test_no_rows_have_no_products() -> None:
    codes, weights = rows_and_weights(0, 64, 10)
    found = multiplied_in_pairs(codes, pair_tiled(weights, np.ones(10, np.float32)), 10)
    assert found.shape == (0, 10)
