"""Channels mixed to one, as loud as they are, also where they are each other's opposite.

FFmpeg's own mix to float is 3 dB above full scale for two channels alike, which would be clipped,
and silence for two that cancel: a balanced line recorded as stereo.
"""

from typing import Final

import numpy as np
import numpy.typing as npt
from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler

from longscribe.audio.tempo import Samples

# Of what a mix to mono takes of each channel, as FFmpeg's (libswresample/rematrix.c), before their
# sum is made 1: the center whole, the front at 3 dB below it, what surrounds at 6 dB.
_WEIGHTS: Final = {"FC": 1.0, "FL": 0.7071, "FR": 0.7071, "LFE": 0.0, "LFE2": 0.0}
_SURROUNDING: Final = 0.5

_DECIDED_SAMPLES: Final = 1600  # 0.1 s, looked at as one
_RAMP_SAMPLES: Final = 160  # from one mix to the next: 10 ms
# Of what two channels would have together if they had nothing to do with each other: below it they
# are each other's opposite.
_CANCELLED: Final = 0.5
_STAYS: Final = 2.0  # how much louder than one that was taken another has to be, 6 dB
_AUDIBLE: Final = 1e-10  # power, of full scale: below it there is nothing to decide about


# With more planes PyAV ends the process: it counts those of a frame up to the first that is NULL,
# and FFmpeg has no such end behind eight (PyAV 18.1.0, av/audio/frame.py: `planes`).
_MOST_PLANES: Final = 7


def readable_format(channels: int) -> str:
    """The name of a format of float32 samples that can be read as an array."""
    return "fltp" if channels <= _MOST_PLANES else "flt"


def readable(frame: AudioFrame) -> AudioFrame:
    """The frame, or the same samples interleaved where its planes cannot be read."""
    if not frame.format.is_planar or frame.layout.nb_channels <= _MOST_PLANES:
        return frame
    packed = AudioResampler("flt", frame.layout.name, frame.sample_rate).resample(frame)[0]
    assert packed.samples == frame.samples  # only the order changes
    return packed


class ChannelMixer:
    """Mixes frame after frame.

    Attributes:
        cancelled_samples: where channels cancelled each other, so that the louder ones were taken.
    """

    def __init__(self) -> None:
        self.cancelled_samples = 0
        self._weights: Samples | None = None  # at the end of the last frame

    def mixed(self, frame: AudioFrame) -> Samples:
        """A float32 frame as (n,) float32."""
        values = frame.to_ndarray().astype(np.float32, copy=False)
        if not frame.format.is_planar:
            values = np.ascontiguousarray(values.reshape(-1, frame.layout.nb_channels).T)
        if len(values) == 1 or not values.size:
            return values.reshape(-1)
        weights = _weights_of(frame, len(values))
        starts = np.arange(max(1, values.shape[1] // _DECIDED_SAMPLES)) * _DECIDED_SAMPLES
        opposites, audible = _opposites(weights[:, None] * values, starts)
        whole: Samples = weights / weights.sum()
        if self._weights is not None and len(self._weights) != len(whole):
            self._weights = None  # a track may change its channels midway
        before = self._weights if self._weights is not None else whole
        if not opposites.any() and np.array_equal(before, whole):
            self._weights = whole
            return whole @ values
        mix = np.empty(values.shape[1], np.float32)
        for start, stop, pairs, is_audible in zip(
            starts, [*starts[1:], len(mix)], opposites, audible, strict=True
        ):
            part = values[:, start:stop]
            now = before  # silence is no reason to change
            if is_audible:
                now = _without_opposites(whole, part, pairs, before) if pairs.any() else whole
            mix[start:stop] = now @ part
            if start == 0 and self._weights is None:
                before = now  # nothing to come from
            if now is not before:
                ramp = np.linspace(1, 0, min(_RAMP_SAMPLES, stop - start), dtype=np.float32)
                mix[start : start + len(ramp)] += ramp * ((before - now) @ part[:, : len(ramp)])
            if np.count_nonzero(now) < np.count_nonzero(whole):
                self.cancelled_samples += stop - start
            before = now
        self._weights = before
        return mix


class OneChannel:
    """Takes one channel of frame after frame, as it is.

    Attributes:
        number: of the channel, from 1.
        cancelled_samples: none: as `ChannelMixer` counts them.
    """

    cancelled_samples = 0

    def __init__(self, number: int) -> None:
        self.number = number

    def mixed(self, frame: AudioFrame) -> Samples:
        """The channel of a float32 frame as (n,) float32; silence where a track has it no more."""
        values = frame.to_ndarray().astype(np.float32, copy=False)
        if not frame.format.is_planar:
            values = values.reshape(-1, frame.layout.nb_channels).T
        if self.number > len(values):
            return np.zeros(values.shape[1], np.float32)
        return np.ascontiguousarray(values[self.number - 1])


def _weights_of(frame: AudioFrame, channels: int) -> Samples:
    names = [channel.name for channel in frame.layout.channels]
    weights = np.array([_WEIGHTS.get(name, _SURROUNDING) for name in names], np.float32)
    if len(names) != channels or not weights.any():
        weights = np.ones(channels, np.float32)
    return weights


def _opposites(
    values: Samples, starts: npt.NDArray[np.int_]
) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    """Which channels are opposites in each part, (parts, channels, channels); which are audible."""
    counts = np.diff(np.append(starts, values.shape[1]))
    means = np.add.reduceat(values, starts, axis=1) / counts
    channels = len(values)
    powers = np.empty((len(starts), channels, channels))  # without what is constant
    for i in range(channels):
        for j in range(i + 1):
            product = np.add.reduceat(values[i] * values[j], starts) / counts
            powers[:, i, j] = powers[:, j, i] = product - means[i] * means[j]
    own = np.diagonal(powers, axis1=1, axis2=2)
    apart = own[:, :, None] + own[:, None, :]
    together = apart + 2 * powers
    opposites = (apart > _AUDIBLE) & (together < _CANCELLED * apart)
    return opposites, own.sum(axis=1) > _AUDIBLE


def _without_opposites(
    weights: Samples, values: Samples, opposites: npt.NDArray[np.bool_], before: Samples
) -> Samples:
    """The weights of a mix in which no channel is another's opposite: the louder one stays.

    One that was taken `before` stays as well, unless another is much louder: each change from a
    channel to its opposite would be heard.
    """
    kept: list[int] = []
    loudness = weights * values.std(axis=1) * np.where(before > 0, _STAYS, 1.0)
    for i in np.argsort(-loudness, kind="stable").tolist():
        if weights[i] and not opposites[i, kept].any():
            kept.append(i)
    left = np.zeros_like(weights)
    left[kept] = weights[kept]
    normal: Samples = left / left.sum()
    return normal
