"""Our kernels of word alignment give what openai-whisper's give."""

import itertools

import numpy as np
import pytest
import torch
from whisper.timing import dtw, median_filter

from longscribe.decoding.word_timestamps import smoothed, warped


@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (9, 1), (5, 3), (7, 30), (110, 1500)])
@pytest.mark.parametrize("has_ties", [False, True])
def test_the_cheapest_way_is_upstream_s(shape: tuple[int, int], has_ties: bool) -> None:
    costs = np.random.default_rng(1).standard_normal(shape).astype(np.float32)
    if has_ties:
        costs = np.round(costs)
    ours, theirs = warped(costs), dtw(torch.from_numpy(costs))
    assert np.array_equal(ours[0], theirs[0])
    assert np.array_equal(ours[1], theirs[1])


@pytest.mark.parametrize("positions", [1, 3, 4, 7, 300])
def test_smoothing_is_upstream_s(positions: int) -> None:
    weights = np.random.default_rng(2).standard_normal((4, 9, positions)).astype(np.float32)
    theirs = median_filter(torch.from_numpy(weights), 7).mean(dim=0).numpy()
    assert np.allclose(smoothed(weights), theirs, atol=1e-6)


def test_the_median_is_right_for_every_order() -> None:
    """A sorting network that is right for zeros and ones is right for all numbers."""
    for bits in itertools.product([0.0, 1.0], repeat=7):
        row = np.asarray(bits, np.float32).reshape(1, 1, 7)
        assert smoothed(row)[0, 3] == np.median(bits)
