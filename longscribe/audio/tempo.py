"""A stream of samples at another tempo."""

from collections.abc import Iterator

import av
import numpy as np
import numpy.typing as npt
from av.audio.frame import AudioFrame

Samples = npt.NDArray[np.float32]


class Tempo:
    """FFmpeg's `atempo` over a stream of float32 mono samples; at 1.0 the stream itself.

    Args:
        speed: tempo, pitch kept.
        sample_rate_hz: of the stream.
    """

    def __init__(self, speed: float, sample_rate_hz: int) -> None:
        self._sample_rate_hz = sample_rate_hz
        self._pushed_samples = 0
        self._graph: av.filter.Graph | None = None
        if speed != 1.0:
            graph = av.filter.Graph()
            source = graph.add_abuffer(sample_rate=sample_rate_hz, format="flt", layout="mono")
            tempo = graph.add("atempo", f"{speed:.6f}")
            sink = graph.add("abuffersink")
            source.link_to(tempo)
            tempo.link_to(sink)
            graph.configure()
            self._graph = graph

    def push(self, samples: Samples) -> Iterator[Samples]:
        """Take samples in; what has come out meanwhile."""
        if self._graph is None:
            yield samples
            return
        frame = AudioFrame.from_ndarray(samples.reshape(1, -1), format="flt", layout="mono")
        frame.sample_rate = self._sample_rate_hz
        frame.pts = self._pushed_samples
        self._pushed_samples += len(samples)
        self._graph.push(frame)
        yield from self._pull()

    def flush(self) -> Iterator[Samples]:
        """What is left when no more samples come."""
        if self._graph is not None and self._pushed_samples:
            self._graph.push(None)
            yield from self._pull()

    def _pull(self) -> Iterator[Samples]:
        assert self._graph is not None
        while True:
            try:
                frame = self._graph.pull()
            except (BlockingIOError, EOFError):  # nothing ready yet; nothing left
                return
            assert isinstance(frame, AudioFrame)
            yield mono(frame)


def mono(frame: AudioFrame) -> Samples:
    """The samples of a frame that is mono float32."""
    # Shape (1, n), float32: as resampler and graph were set up, so that nothing is copied.
    return np.asarray(frame.to_ndarray().reshape(-1), np.float32)
