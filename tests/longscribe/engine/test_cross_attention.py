"""Cross-attention over int8 keys and values, against torch."""

import numpy as np
import numpy.typing as npt
import pytest
import torch
from torch.nn import functional

from longscribe.engine.cross_attention import (
    BLOCK,
    BLOCKS,
    CrossCache,
    cross_attention,
    store_cross,
)
from longscribe.engine.kernels import CONTEXT
from longscribe.engine.network import HEAD_DIM

Floats = npt.NDArray[np.float32]

HEADS = 2
WIDTH = HEADS * HEAD_DIM
LENGTHS = np.array([CONTEXT, CONTEXT, 780, 60])  # of windows, in positions


@pytest.fixture
def random() -> np.random.Generator:
    return np.random.default_rng(0)


def normal(random: np.random.Generator, *shape: int, scale: float = 1.0) -> Floats:
    return random.normal(0.0, scale, shape).astype(np.float32)


def arrays(cache: CrossCache) -> tuple[npt.NDArray[np.generic], ...]:
    return cache.keys, cache.key_scales, cache.values, cache.value_scales


def store(cache: CrossCache, window: int, raw: Floats, scale: Floats, bias: Floats) -> None:
    """In parts, as the encoder's last layer gives them; the last one ends within a block."""
    written = [array[window] for array in arrays(cache)]
    for first in range(0, CONTEXT, 3 * BLOCK):
        rows = slice(first, first + 3 * BLOCK)
        store_cross(raw[rows], scale[rows], bias, *written, first // BLOCK)


def meant(
    cache: CrossCache, window: int, length: int = CONTEXT
) -> tuple[torch.Tensor, torch.Tensor]:
    """Keys and values that the codes stand for, (H, length, 64)."""
    each_channel = np.eye(HEAD_DIM, dtype=np.float32)
    keys = np.stack([cache.scores(each_channel, window, h, length).T for h in range(HEADS)])
    values = (cache.values[window] * cache.value_scales[window][:, :, None])[:, :length]
    return torch.from_numpy(keys), torch.from_numpy(values)


def window_output(random: np.random.Generator) -> tuple[Floats, Floats, Floats]:
    raw = normal(random, CONTEXT, 2 * WIDTH, scale=50.0)
    return raw, np.abs(normal(random, CONTEXT, scale=0.02)), normal(random, 2 * WIDTH)


def test_keys_and_values_come_back(random: np.random.Generator) -> None:
    raw, scale, bias = window_output(random)
    raw[:, 3] *= 100.0  # an outlying channel of the keys
    raw[700, WIDTH:] *= 100.0  # and an outlying position of the values
    cache = CrossCache(2, HEADS)
    store(cache, 1, raw, scale, bias)
    output = torch.from_numpy(raw * scale[:, None] + bias).view(CONTEXT, 2, HEADS, HEAD_DIM)
    stored_keys, stored_values = output.permute(1, 2, 0, 3)
    keys, values = meant(cache, 1)
    # Outliers cost only their own channel of a block, or position: half a step of its own largest.
    for first in range(0, CONTEXT, BLOCK):
        block = slice(first, first + BLOCK)
        steps = stored_keys[:, block].abs().amax(dim=1, keepdim=True) / 127
        assert torch.all((keys[:, block] - stored_keys[:, block]).abs() <= 0.501 * steps)
    steps = stored_values.abs().amax(dim=2, keepdim=True) / 127
    assert torch.all((values - stored_values).abs() <= 0.501 * steps)


def attended(
    queries: Floats, cache: CrossCache, windows: list[int], firsts: list[int]
) -> torch.Tensor:
    out = np.full((len(queries), WIDTH), np.nan, np.float32)
    cross_attention(
        queries,
        np.full(len(queries), 0.5, np.float32),
        np.zeros(WIDTH, np.float32),
        *arrays(cache),
        np.asarray(windows),
        np.asarray(firsts),
        LENGTHS,
        out,
    )
    return torch.from_numpy(out)


@pytest.fixture
def cache(random: np.random.Generator) -> CrossCache:
    cache = CrossCache(4, HEADS)
    for window in range(4):
        store(cache, window, *window_output(random))
    return cache


@pytest.mark.parametrize("sharpness", [0.0, 0.05, 1.0, 30.0])
@pytest.mark.parametrize("rows_per_window", [[1, 1, 1], [3, 1, 5]])
def test_attention(
    random: np.random.Generator, cache: CrossCache, sharpness: float, rows_per_window: list[int]
) -> None:
    """Some windows of those encoded, with one row or several each; flat to all on one position."""
    windows = [0, 2, 3]
    firsts = np.cumsum([0, *rows_per_window]).tolist()
    queries = normal(random, firsts[-1], WIDTH, scale=sharpness)
    found = attended(queries, cache, windows, firsts)
    for row, window in enumerate(np.repeat(windows, rows_per_window)):
        query = torch.from_numpy(0.5 * queries[row]).view(HEADS, 1, HEAD_DIM)
        keys, values = meant(cache, window, int(LENGTHS[window]))
        expected = functional.scaled_dot_product_attention(query, keys, values, scale=1.0)
        # What is negligible is left out: 1e-5 of the largest weight, 1500 / 4 times at most.
        assert torch.allclose(found[row], expected.reshape(WIDTH), rtol=2e-3, atol=2e-3)


def test_positions_after_the_last_do_not_count(cache: CrossCache) -> None:
    """Blocks hold 1536 positions, of which 1500 are the window's."""
    assert BLOCK * BLOCKS > CONTEXT
    cache.keys[...] = 0
    cache.values[...] = 0
    cache.value_scales[...] = 1.0
    cache.values[0, :, CONTEXT - 1] = 100
    found = attended(np.zeros((1, WIDTH), np.float32), cache, [0], [0, 1])
    assert torch.allclose(found, torch.full((1, WIDTH), 100.0 / CONTEXT))
