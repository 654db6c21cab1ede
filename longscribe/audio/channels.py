"""Channels mixed to one, as loud as they are, also where they are each other's opposite.

FFmpeg's own mix to float is 3 dB above full scale for two channels alike, which would be clipped,
and silence for two that cancel: a balanced line recorded as stereo.
"""

from typing import Final

import numpy as np
from av.audio.frame import AudioFrame

from longscribe.audio.tempo import Samples

# Of what a mix to mono takes of each channel, as FFmpeg's (libswresample/rematrix.c), before their
# sum is made 1: the center whole, the front at 3 dB below it, what surrounds at 6 dB.
_WEIGHTS: Final = {"FC": 1.0, "FL": 0.7071, "FR": 0.7071, "LFE": 0.0, "LFE2": 0.0}
_SURROUNDING: Final = 0.5

_CANCELLED: Final = 0.1  # of the channels' power: what is left of them in the mix
_AUDIBLE: Final = 1e-7  # power, of full scale: -70 dB


class ChannelMixer:
    """Mixes frame after frame.

    Attributes:
        cancelled_samples: of frames whose channels cancelled each other, so that the louder one
            was taken.
    """

    def __init__(self) -> None:
        self.cancelled_samples = 0

    def mixed(self, frame: AudioFrame) -> Samples:
        """A planar float32 frame as (n,) float32."""
        values: Samples = frame.to_ndarray().astype(np.float32, copy=False)  # (channels, n)
        if len(values) == 1:
            alone: Samples = values[0]
            return alone
        names = [channel.name for channel in frame.layout.channels]
        weights = np.array([_WEIGHTS.get(name, _SURROUNDING) for name in names], np.float32)
        if len(names) != len(values) or not weights.any():
            weights = np.ones(len(values), np.float32)
        mix: Samples = (weights / weights.sum()) @ values
        if len(values) == 2:
            power = np.square(values).mean(axis=1)
            if power.mean() > _AUDIBLE and np.square(mix).mean() < _CANCELLED * power.mean():
                self.cancelled_samples += len(mix)
                louder: Samples = values[int(power.argmax())]
                return louder
        return mix
