"""FFmpeg's `atempo` filter through PyAV: other speed, same pitch."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import av
import av.filter
import numpy as np
from numpy.typing import NDArray

from demo.voices import SAMPLE_RATE_HZ

Samples = NDArray[np.int16]


class Tempo:
    """A stream of 16 kHz mono samples, sped up; FFmpeg accepts 0.5 to 100."""

    def __init__(self, speed: float) -> None:
        self._graph = av.filter.Graph()
        source = self._graph.add_abuffer(
            sample_rate=SAMPLE_RATE_HZ, format="s16", layout="mono", time_base=None
        )
        tempo = self._graph.add("atempo", f"{speed:.6f}")
        # atempo works in s16 already; the sink only hands the frames out.
        sink = self._graph.add("abuffersink")
        source.link_to(tempo)
        tempo.link_to(sink)
        self._graph.configure()
        self._pushed_samples = 0

    def push(self, samples: Samples) -> list[Samples]:
        """Feed samples; returns what became ready."""
        frame = av.AudioFrame.from_ndarray(samples[None, :], format="s16", layout="mono")
        frame.sample_rate = SAMPLE_RATE_HZ
        frame.pts = self._pushed_samples
        self._pushed_samples += len(samples)
        self._graph.push(frame)
        return self._pull()

    def finish(self) -> list[Samples]:
        """The rest, after the last push."""
        self._graph.push(None)
        return self._pull()

    def _pull(self) -> list[Samples]:
        ready: list[Samples] = []
        while True:
            try:
                frame = self._graph.pull()
            except (av.error.BlockingIOError, av.error.EOFError):
                return ready
            ready.append(frame.to_ndarray().reshape(-1).astype(np.int16, copy=False))


def change_tempo(samples: Samples, speed: float) -> Samples:
    """A whole array at another speed; its length becomes about length / speed."""
    return np.concatenate(list(stream_tempo([samples], speed)) or [samples[:0]])


def stream_tempo(blocks: Iterable[Samples], speed: float) -> Iterator[Samples]:
    """Blocks of samples at another speed, block by block."""
    tempo = Tempo(speed)
    for block in blocks:
        yield from tempo.push(block)
    yield from tempo.finish()
