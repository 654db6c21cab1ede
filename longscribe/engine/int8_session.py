"""Hypotheses that grow in the int8 network: the rows' caches, and which row has which."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from torch import Tensor

from longscribe.engine import kernels
from longscribe.engine.network import HEAD_DIM, First
from longscribe.models.checkpoint import ModelDims

if TYPE_CHECKING:
    from longscribe.engine.int8_network import Int8Network


class SelfCaches:
    """Self-attention's keys and values, bfloat16 as uint16, a slot for every row.

    The memory is taken from the system only as far as tokens reach, page by page.
    """

    def __init__(self, dims: ModelDims, slots: int, capacity: int) -> None:
        shape = (dims.n_text_layer, slots, dims.n_text_head, capacity, HEAD_DIM)
        self.keys = np.empty(shape, np.uint16)
        self.values = np.empty(shape, np.uint16)


class Int8Session:
    """Rows under way; see `network.Session`."""

    def __init__(
        self,
        network: "Int8Network",
        windows: Sequence[int],
        prompt: Sequence[int],
        start_at: int,
        rows_per_window: int,
    ) -> None:
        self._network = network
        count, length = len(windows), len(prompt)
        # Whisper decodes at most half its context (whisper/decoding.py, `sample_len`).
        capacity = length + network.dims.n_text_ctx // 2 + 1
        self._caches = SelfCaches(network.dims, count * rows_per_window, capacity)
        self._free = list(range(count, count * rows_per_window))
        self._slots = np.arange(count)
        self._windows = np.asarray(windows, dtype=np.int64)
        self._length = length
        last = np.arange(count) * length + length - 1
        logits = network.forward(
            np.tile(np.asarray(prompt), count),
            self._caches,
            slots=np.repeat(self._slots, length),
            positions=np.tile(np.arange(length), count),
            windows=np.repeat(self._windows, length),
            wanted=np.concatenate((last, last - (length - 1 - start_at))),
        )
        self.first = First(logits[:count], logits[count:])

    def keep(self, rows: Sequence[int]) -> None:
        """Go on with these rows; see `Session.keep`."""
        kept = set(rows)
        self._free += [int(slot) for row, slot in enumerate(self._slots) if row not in kept]
        slots, sources, targets = [], [], []
        used: set[int] = set()
        for row in rows:
            slot = int(self._slots[row])
            if row in used:
                sources.append(slot)
                slot = self._free.pop()
                targets.append(slot)
            used.add(row)
            slots.append(slot)
        if sources:
            copied = np.asarray(sources), np.asarray(targets)
            kernels.copy_slots(self._caches.keys, *copied, self._length)
            kernels.copy_slots(self._caches.values, *copied, self._length)
        self._windows = self._windows[list(rows)]
        self._slots = np.asarray(slots, dtype=np.int64)

    def step(self, tokens: Sequence[int]) -> Tensor:
        """Give every row its next token; see `Session.step`."""
        positions = np.full(len(tokens), self._length)
        self._length += 1
        return self._network.forward(
            np.asarray(tokens),
            self._caches,
            slots=self._slots,
            positions=positions,
            windows=self._windows,
        )
