"""How loud a recording is, and what brings it to a good level.

The scratch file's 16 bits are too coarse for a recording that uses the lowest of them only, and
floats know no full scale. Neither a click nor a constant offset is taken for the level.
"""

from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from longscribe.audio.tempo import Samples

# Resampling overshoots by a few per cent where it has to; beyond that, floats were meant to.
_FAR_ABOVE_FULL_SCALE: Final = 1.5
_QUIET_PEAK: Final = 0.1
_PEAK_AFTER_GAIN: Final = 0.5
_LARGEST_GAIN: Final = 3000.0  # 70 dB: what is quieter is the last bit of a silence

_BLOCK_SAMPLES: Final = 320  # 20 ms
# A vowel is longer than this, the click of a switch shorter: 160 ms.
_SUSTAINED_BLOCKS: Final = 8
# Peaks of speech are less than this above what a vowel holds, 20 dB.
_PEAK_TO_SUSTAINED: Final = 10.0
_OFFSET_WORTH_REMOVING: Final = 0.05  # of the peak


class Adjustment(NamedTuple):
    """What is done to every sample: the offset is taken away, the rest multiplied."""

    offset: float = 0.0
    gain: float = 1.0

    def applied(self, samples: Samples) -> Samples:
        """The samples at their new level; what is silence, as in filled holes, stays silence."""
        if self.offset:
            samples = np.where(samples == 0.0, np.float32(0.0), samples - np.float32(self.offset))
        return samples if self.gain == 1.0 else np.float32(self.gain) * samples


class LevelMeter:
    """Measures a stream of samples.

    Attributes:
        sustained: the highest level that was held for longer than a click, of full scale; a
            constant offset is none.
    """

    def __init__(self) -> None:
        self._lowest, self._highest = np.inf, -np.inf  # but for silence
        self._sum, self._sounding = 0.0, 0
        self.sustained = 0.0
        self._rest = np.empty(0, np.float32)  # of a block
        self._levels: npt.NDArray[np.float32] = np.empty(0, np.float32)  # of the last blocks

    def push(self, samples: Samples) -> None:
        """Take samples in."""
        if not len(samples):
            return
        sounding = samples[samples != 0.0]
        self._lowest = min(self._lowest, float(sounding.min(initial=np.inf)))
        self._highest = max(self._highest, float(sounding.max(initial=-np.inf)))
        self._sum += float(sounding.sum(dtype=np.float64))
        self._sounding += len(sounding)
        samples = np.concatenate([self._rest, samples])
        whole = len(samples) - len(samples) % _BLOCK_SAMPLES
        blocks, self._rest = samples[:whole].reshape(-1, _BLOCK_SAMPLES), samples[whole:]
        # Half of what lies between the lowest and the highest, which an offset does not change.
        swings = (blocks.max(axis=1) - blocks.min(axis=1)) / 2
        levels = np.concatenate([self._levels, swings])
        if len(levels) >= _SUSTAINED_BLOCKS:
            windows = np.lib.stride_tricks.sliding_window_view(levels, _SUSTAINED_BLOCKS)
            self.sustained = max(self.sustained, float(windows.min(axis=1).max()))
        self._levels = levels[-(_SUSTAINED_BLOCKS - 1) :]

    def adjustment(self) -> Adjustment:
        """What brings all that was pushed to a good level: mostly nothing."""
        if not self._sounding:
            return Adjustment()
        mean = self._sum / self._sounding
        peak = max(self._highest, -self._lowest)
        offset = mean if abs(mean) > _OFFSET_WORTH_REMOVING * peak else 0.0
        peak = max(self._highest - offset, offset - self._lowest)
        if self.sustained:  # what is above it are clicks
            peak = min(peak, _PEAK_TO_SUSTAINED * self.sustained)
        return Adjustment(offset, _gain(peak))


def _gain(peak: float) -> float:
    if peak > _FAR_ABOVE_FULL_SCALE:
        return 1.0 / peak
    if 0.0 < peak < _QUIET_PEAK:
        return min(_PEAK_AFTER_GAIN / peak, _LARGEST_GAIN)
    return 1.0
