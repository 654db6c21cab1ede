"""Queries, keys and values of a window in float32, for encoder attentions that begin with them."""

import numpy as np
import numpy.typing as npt

from longscribe.engine.kernels import CONTEXT, split_heads
from longscribe.engine.network import HEAD_DIM


class FloatHeads:
    """What an attention takes in, (3, H, 1500, 64)."""

    def __init__(self, heads: int) -> None:
        self._heads = np.empty((3, heads, CONTEXT, HEAD_DIM), np.float32)

    def take(
        self,
        raw: npt.NDArray[np.float32],
        scales: npt.NDArray[np.float32],
        bias: npt.NDArray[np.float32],
        first: int,
    ) -> None:
        """Queries, keys and values (n, 3d) of positions from `first` on, as `raw` products."""
        split_heads(raw, scales, bias, self._heads, first)
