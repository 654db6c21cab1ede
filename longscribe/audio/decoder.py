"""A recording's best audio track as float32 mono samples, on the timeline that players show."""

from collections.abc import Iterable, Iterator
from typing import Any, Final

import av
import numpy as np
from av.audio.fifo import AudioFifo
from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler
from av.container import InputContainer

from longscribe.audio.channels import ChannelMixer, OneChannel, readable, readable_format
from longscribe.audio.tempo import Samples

# A hole in the container's time stamps longer than this is filled with silence, so that what
# follows stays on the player's timeline; shorter ones are rounding and codec delay.
_GAP_TO_FILL_S = 0.1

# Time stamps that leap further, or back by more than a little, begin anew: a clock that was set, a
# part that was joined on, bytes that are no time stamps at all.
LONGEST_HOLE_S = 6 * 3600.0
JITTER_S = 1.0

# Nothing in these is a time: FFmpeg counts packets, by the rate of the first of them.
_WITHOUT_TIMES: Final = ("aac", "ac3", "amr", "dts", "eac3", "mp3", "truehd")

_MP3_HEADERS: Final = (b"Xing", b"Info")

# Frames are joined before anything is done to them: a codec's last some 20 ms, and calls for each
# of them took twice as long as decoding them.
_JOINED_S = 1.0


def start_of(container: InputContainer) -> float:
    """The time stamp, in seconds, at which a file's timeline begins.

    What is a little before zero is what a codec needs to start; what is far before it is a clock
    that goes round, which FFmpeg lays before zero.
    """
    start_s = (container.start_time or 0) / av.time_base
    return start_s if start_s < -_GAP_TO_FILL_S else max(0.0, start_s)


def _time_s(frame: AudioFrame, expected_s: float) -> float:
    """When a frame begins, by its time stamp, if it has one."""
    if frame.pts is None or not frame.time_base:
        return expected_s
    return float(frame.pts * frame.time_base)


class AudioDecoder:
    """Decodes and counts what was wrong.

    Args:
        containers: opened one after the other, the links of a chain; each is read once.
        declared_duration_s: what they say; None where they do not know.
        sample_rate_hz: of the samples that come out.
        track: number of the audio track that is heard, from 1.
        channel: number of its channel that is heard, from 1; None for all of them, mixed.

    Attributes:
        invalid_samples: samples of the track that were not numbers.
        filled_samples: samples of silence for holes in the track.
        damaged_packets: those left out.
        leapt_s: what time stamps leapt ahead without being believed.
    """

    def __init__(
        self,
        containers: Iterable[InputContainer],
        declared_duration_s: float | None,
        sample_rate_hz: int,
        track: int = 1,
        channel: int | None = None,
    ) -> None:
        self._containers = containers
        self._track = track
        self._mixer = ChannelMixer() if channel is None else OneChannel(channel)
        self._declared_duration_s = declared_duration_s
        self._sample_rate_hz = sample_rate_hz
        self.invalid_samples = 0
        self.filled_samples = 0
        self.damaged_packets = 0
        self.leapt_s = 0.0
        self._lost_s = 0.0  # with damaged packets, since the last frame

    @property
    def cancelled_samples(self) -> int:
        """Samples of two channels that cancelled each other, of which the louder was taken."""
        return self._mixer.cancelled_samples

    def blocks(self) -> Iterator[Samples]:
        """The recording's samples, in blocks of a second or so; the track must be there."""
        for container in self._containers:
            yield from self._blocks_of(container)

    def _blocks_of(self, container: InputContainer) -> Iterator[Samples]:
        tracks = container.streams.audio
        if not tracks:
            return
        stream = tracks[min(self._track, len(tracks)) - 1]
        joined = AudioFifo()
        resampler: AudioResampler | None = None
        shape: tuple[str, str, int] | None = None
        has_times = container.format.name not in _WITHOUT_TIMES
        self._lost_s = 0.0
        # Sound that begins after the picture keeps its place on the player's timeline.
        origin_s = start_of(container)
        decoded_s = 0.0
        for frame in self._frames(container, stream):
            if shape != (frame.format.name, frame.layout.name, frame.sample_rate):
                # A chained or concatenated file may change its rate or channels midway.
                if resampler is not None:
                    yield from self._resampled(resampler, joined)
                    yield from self._mono(resampler.resample(None))
                resampler = AudioResampler(
                    readable_format(frame.layout.nb_channels),
                    frame.layout.name,
                    self._sample_rate_hz,
                )
                joined = AudioFifo()
                shape = (frame.format.name, frame.layout.name, frame.sample_rate)
            assert resampler is not None
            hole_s = self._lost_s
            if has_times:
                hole_s = _time_s(frame, origin_s + decoded_s) - origin_s - decoded_s
            if self._is_fillable(hole_s, decoded_s):
                yield from self._resampled(resampler, joined)
                yield from self._silence(hole_s)
                decoded_s += hole_s
                self._lost_s = 0.0
            elif has_times and not -JITTER_S <= hole_s <= _GAP_TO_FILL_S:
                origin_s += hole_s
                self.leapt_s += max(0.0, hole_s)
            decoded_s += frame.samples / frame.sample_rate
            frame.pts = None  # joined frames follow each other, whatever the container says
            joined.write(frame)
            if joined.samples >= _JOINED_S * frame.sample_rate:
                yield from self._resampled(resampler, joined)
        if resampler is not None:
            yield from self._resampled(resampler, joined)
            yield from self._mono(resampler.resample(None))

    def _frames(self, container: InputContainer, stream: Any) -> Iterator[AudioFrame]:
        packets = container.demux(stream)
        while True:
            try:
                packet = next(packets)
            except StopIteration:
                return
            except av.error.FFmpegError:
                # The container breaks off here: what came before is kept.
                self.damaged_packets += 1
                return
            try:
                yield from packet.decode()
            except av.error.FFmpegError:
                # Where MP3 files were joined: it holds numbers and no sound.
                if any(name in bytes(packet) for name in _MP3_HEADERS):
                    continue
                self.damaged_packets += 1
                if packet.duration and packet.time_base:
                    self._lost_s += float(packet.duration * packet.time_base)

    def _is_fillable(self, hole_s: float, decoded_s: float) -> bool:
        if not _GAP_TO_FILL_S < hole_s <= LONGEST_HOLE_S:
            return False
        # Broken time stamps may claim years: never fill past the declared end.
        declared_s = self._declared_duration_s
        return declared_s is not None and decoded_s + hole_s <= declared_s + 1.0

    def _silence(self, duration_s: float) -> Iterator[Samples]:
        left = round(duration_s * self._sample_rate_hz)
        self.filled_samples += left
        while left > 0:
            count = min(left, self._sample_rate_hz)
            yield np.zeros(count, dtype=np.float32)
            left -= count

    def _resampled(self, resampler: AudioResampler, joined: AudioFifo) -> Iterator[Samples]:
        frame = joined.read()
        if frame is not None:
            yield from self._mono(resampler.resample(self._finite(frame)))

    def _mono(self, frames: list[AudioFrame]) -> Iterator[Samples]:
        for frame in frames:
            yield self._mixer.mixed(frame)

    def _finite(self, frame: AudioFrame) -> AudioFrame:
        """The frame with NaN and infinite samples set to zero: one would spread over all others."""
        if not frame.format.name.startswith(("flt", "dbl")):
            return frame
        frame = readable(frame)
        values: Any = frame.to_ndarray()
        invalid = int(values.size - np.count_nonzero(np.isfinite(values)))
        if invalid == 0:
            return frame
        self.invalid_samples += invalid
        clean = AudioFrame.from_ndarray(
            np.nan_to_num(values, nan=0.0, posinf=0.0, neginf=0.0),
            format=frame.format.name,
            layout=frame.layout.name,
        )
        clean.sample_rate = frame.sample_rate
        clean.pts, clean.time_base = frame.pts, frame.time_base
        return clean
