"""Decoding steps on a GPU, recorded once as CUDA graphs and replayed.

A step of a large model is a thousand kernels of a few microseconds each, which a CPU starts far
more slowly than the GPU runs them. A recorded step is started by one call
(https://pytorch.org/blog/accelerating-pytorch-with-cuda-graphs/), but always reads and writes the
same memory with the same shapes. So rows live in slots of buffers that stay, the slot of a row that
has ended is computed for nothing until the windows left fit the next smaller recording, and
attention reaches over the whole cache behind a mask.
"""

from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from longscribe.engine.network import HEAD_DIM, Caches
from longscribe.runtime.worker_progress import advance

if TYPE_CHECKING:
    from longscribe.engine.float_network import FloatNetwork

# Windows that steps are recorded for: a session takes the next larger number.
_SIZES = (1, 4, 8, 12, 16, 20, 24, 32, 48, 64, 96, 128, 192, 256)
_CAPACITY_STEP = 64  # positions; the masked kernels want rows of whole cache lines


class _Recorded(NamedTuple):
    """A step, and where it leaves the logits, (slots, vocabulary) float32."""

    graph: torch.cuda.CUDAGraph
    logits: Tensor


class Steps:
    """The buffers that sessions of one shape use, one after the other, and the steps over them.

    The row that is a window's nth lies in slot `window * width + nth`.

    Attributes:
        windows: there is room for.
        width: rows of a window, at most.
        capacity: positions of a row, at most; rounded up.
        caches: keys and values of self-attention, (windows * width, heads, capacity, 64).
        cross: the same of cross-attention, (windows, heads, 1500, 64).
    """

    def __init__(self, network: "FloatNetwork", windows: int, width: int, capacity: int) -> None:
        capacity = -(-capacity // _CAPACITY_STEP) * _CAPACITY_STEP
        self.windows, self.width, self.capacity = windows, width, capacity
        # The network itself is not kept: it has these steps, and what refers to each other stays in
        # the GPU's memory until Python looks for such circles.
        dims = network.dims
        self.caches = _zeros(network, windows * width, dims.n_text_head, capacity, HEAD_DIM)
        self.cross = _zeros(network, windows, dims.n_text_head, dims.n_audio_ctx, HEAD_DIM)
        self._tokens = torch.zeros(windows * width, dtype=torch.int64, device=network.device)
        self._position = torch.zeros(1, dtype=torch.int64, device=network.device)
        self._places = torch.arange(capacity, device=network.device)
        self._recorded: dict[int, _Recorded] = {}
        self._memory = torch.cuda.graph_pool_handle() if network.device.type == "cuda" else None

    def clear(self) -> None:
        """Forget the last session's rows: what is not a number would outlive the mask."""
        for pair in self.caches:
            for part in pair:
                part.zero_()

    def take(
        self, network: "FloatNetwork", windows: int, tokens: Sequence[int], position: int
    ) -> Tensor:
        """One step of the first windows' slots.

        Args:
            network: whose steps these are.
            windows: one of `_SIZES`.
            tokens: of each of their slots.
            position: of these tokens.

        Returns:
            logits of each slot, (slots, vocabulary) float32 on the device, until the next step.
        """
        self._tokens[: len(tokens)] = torch.tensor(tokens)
        self._position.fill_(position)
        if network.device.type != "cuda":
            return self._step(network, windows)
        if windows not in self._recorded:
            self._recorded[windows] = self._record(network, windows)
        recorded = self._recorded[windows]
        recorded.graph.replay()
        return recorded.logits

    def _record(self, network: "FloatNetwork", windows: int) -> _Recorded:
        stream, graph = _recording_stream(), torch.cuda.CUDAGraph()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            # Libraries choose their kernels now, as they may not while it is recorded.
            self._step(network, windows)
        with torch.cuda.graph(graph, pool=self._memory, stream=stream):
            logits = self._step(network, windows)
        torch.cuda.current_stream().wait_stream(stream)
        return _Recorded(graph, logits)

    def _step(self, network: "FloatNetwork", windows: int) -> Tensor:
        slots = windows * self.width
        x = network.embed_at(self._tokens[:slots, None], self._position)
        seen = torch.zeros(self.capacity, device=x.device, dtype=x.dtype)
        seen = seen.masked_fill(self._places > self._position, float("-inf"))
        mask = seen.expand(slots, 1, 1, self.capacity)
        for layer, block in enumerate(network.decoder):
            normed = block.norm(x, "attn_ln")
            keys, values = (part[:slots] for part in self.caches[layer])
            keys.index_copy_(2, self._position, block.heads(normed, "attn.key"))
            values.index_copy_(2, self._position, block.heads(normed, "attn.value"))
            query = block.heads(normed, "attn.query")
            attended = functional.scaled_dot_product_attention(query, keys, values, attn_mask=mask)
            x = x + block.joined(attended, "attn.out")
            query = block.heads(block.norm(x, "cross_attn_ln"), "cross_attn.query")
            # Rows of one window side by side: its keys and values are read once for all of them.
            grouped = query.view(windows, self.width, -1, HEAD_DIM).transpose(1, 2)
            keys, values = (part[:windows] for part in self.cross[layer])
            attended = functional.scaled_dot_product_attention(grouped, keys, values)
            rows = attended.transpose(1, 2).reshape(slots, -1, 1, HEAD_DIM)
            x = block.mlp(x + block.joined(rows, "cross_attn.out"))
        return network.logits(x)[:, 0]


class GpuSession:
    """Rows under way on a GPU; see `network.Session`."""

    def __init__(
        self,
        network: "FloatNetwork",
        windows: Sequence[int],
        prompt: Sequence[int],
        start_at: int,
        rows_per_window: int,
    ) -> None:
        self._network = network
        self._width = rows_per_window
        self._length = len(prompt)
        self._windows = list(windows)
        self._slots: list[int] = []  # of each row, once there are steps
        self._size = 0  # windows of the recording that is used
        self._steps: Steps | None = None
        # A session that only wants to know what comes first, a language, needs no steps.
        self._heard, self.first = network.hear(network.cross_of(windows), prompt, start_at)

    def keep(self, rows: Sequence[int]) -> None:
        """Go on with these rows; see `Session.keep`."""
        steps, width = self._begun(), self._width
        sources = [self._slots[row] for row in rows]
        places = [slot // width for slot in sources]
        left = sorted(set(places))
        size = _size(len(left))
        moved = size < self._size
        if moved:
            self._size = size
            _gather(steps.cross, left)
            places = [left.index(place) for place in places]
        slots = [place * width + places[:nth].count(place) for nth, place in enumerate(places)]
        if slots != sources:
            order = list(range(max(slots) + 1))
            for slot, source in zip(slots, sources, strict=True):
                order[slot] = source
            _gather(steps.caches, order)
        self._slots = slots

    def step(self, tokens: Sequence[int]) -> Tensor:
        """Give every row its next token; see `Session.step`."""
        advance()
        steps = self._begun()
        of_slots = [0] * (self._size * self._width)
        for slot, token in zip(self._slots, tokens, strict=True):
            of_slots[slot] = token
        logits = steps.take(self._network, self._size, of_slots, self._length)
        self._length += 1
        if self._slots == list(range(len(of_slots))):
            return logits.cpu()
        return logits[torch.tensor(self._slots, device=logits.device)].cpu()

    def _begun(self) -> Steps:
        """The steps, which are another session's until this one has its first."""
        if self._steps is None:
            network, count = self._network, len(self._windows)
            self._size = _size(count)
            longest = self._length + network.dims.n_text_ctx // 2 + 1
            steps = network.steps(self._size, self._width, longest)
            steps.clear()
            self._slots = [place * self._width for place in range(count)]
            rows = torch.tensor(self._slots, device=network.device)
            for layer, heard in enumerate(self._heard):
                for part, prompt in zip(steps.caches[layer], heard, strict=True):
                    part[rows, :, : self._length] = prompt
            for held, sound in zip(steps.cross, network.cross_of(self._windows), strict=True):
                for part, source in zip(held, sound, strict=True):
                    part[:count] = source
            self._heard = []
            self._steps = steps
        return self._steps


@cache
def _recording_stream() -> torch.cuda.Stream:
    """Of the process: cuBLAS keeps 32 MB for every stream that it has ever worked on."""
    return torch.cuda.Stream()


def _zeros(network: "FloatNetwork", *shape: int) -> Caches:
    keys, values = (
        [torch.zeros(shape, device=network.device, dtype=network.dtype) for _ in network.decoder]
        for _ in range(2)
    )
    return list(zip(keys, values, strict=True))


def _size(windows: int) -> int:
    return next((size for size in _SIZES if size >= windows), windows)


def _gather(caches: Caches, places: Sequence[int]) -> None:
    """Put what lies in these places first, in this order."""
    for pair in caches:
        for part in pair:
            part[: len(places)] = part[torch.tensor(places, device=part.device)]
