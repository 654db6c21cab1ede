"""Voice activity detection: where somebody speaks, and where there is sound at all.

Two detectors. One by level, deliberately careful: what it calls silence lies near the recording's
own noise floor for a while; it says to a few hundredths of a second when sound begins and ends.
And a network that tells speech from music and noise (`silero`), which decides what Whisper hears:
over what is no speech it would invent sentences. Own code in numpy, without torch in the parent
process: an hour takes some three seconds.
"""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import numpy.typing as npt

from longscribe.audio.recording import SAMPLE_RATE_HZ, read_samples
from longscribe.audio.silero import FRAME_SAMPLES

HOP_S = 0.02
_HOP_SAMPLES = round(HOP_S * SAMPLE_RATE_HZ)  # 320 samples
_FRAMES_PER_S = round(1.0 / HOP_S)  # 50
_FRAME_SAMPLES = 512  # 32 ms
_BAND_HZ = (150.0, 4000.0)  # where speech is, also over a telephone; no hum below it
_BLOCK_FRAMES = 4096  # frames per pass: 1.3 million samples, some 20 MB at work
_THREADS = 2  # passes at once

_FLOOR_WINDOW_S = 120  # the noise floor is looked for this far around, so it may change slowly
_FLOOR_PERCENTILE = 10.0
_ABOVE_FLOOR_DB = 6.0
# Where nobody pauses, the floor is speech itself: silence is also this far below the loudest sound.
_LOUDEST_PERCENTILE = 99.5
_BELOW_LOUDEST_DB = 15.0
_SILENT_BELOW_DB = -60.0  # of full scale: quieter than any speech a microphone was meant to catch

_SHORTEST_SOUND_S = 0.06  # shorter bursts are clicks
PAD_S = 0.1  # soft onsets and endings around what was found
_SHORTEST_SILENCE_S = 0.1  # after padding; shorter ones are within words

# Speech by the network: it begins where it is this probable, and goes on as long as it is that. The
# numbers are silero-vad's own (get_speech_timestamps); wider is only what is kept around it.
_FRAME_S = FRAME_SAMPLES / SAMPLE_RATE_HZ
_SPEECH_BEGINS, _SPEECH_GOES_ON = 0.5, 0.35
_SHORTEST_SPEECH_S = 0.25
_SPEECH_PAD_S = 0.4
_SHORTEST_SPEECH_PAUSE_S = 1.0

Levels = npt.NDArray[np.float32]  # in dB of full scale, one for each HOP_S
Spans = npt.NDArray[np.float64]  # shape (n, 2): start and end in seconds, sorted, apart


def levels_db(pcm_path: Path, samples: int) -> Levels:
    """Level of every 20 ms frame of a scratch file, in dB of full scale within the speech band.

    Returns:
        shape (ceil(samples / 320),); a full-scale sine is near -3 dB, digital silence -120 dB.
    """
    listener = LevelListener(pcm_path)
    listener.hear(samples, is_all=True)
    return listener.levels()


class LevelListener:
    """The same of a file that is still being written, as far as it goes.

    Args:
        pcm_path: int16 mono at 16 kHz.
    """

    def __init__(self, pcm_path: Path) -> None:
        self._pcm_path = pcm_path
        self._window = np.hanning(_FRAME_SAMPLES).astype(np.float32)
        self._scale = 1.0 / (32768.0 * float(np.sqrt(np.sum(self._window.astype(np.float64) ** 2))))
        frequencies_hz = np.fft.rfftfreq(_FRAME_SAMPLES, 1.0 / SAMPLE_RATE_HZ)
        self._band = (frequencies_hz >= _BAND_HZ[0]) & (frequencies_hz <= _BAND_HZ[1])
        self._heard = 0  # frames
        self._found: list[Levels] = []

    def hear(self, samples: int, *, is_all: bool) -> None:
        """Hear what was not heard yet, but for a rest that needs what comes after it.

        Args:
            samples: that the file has.
            is_all: whether there will be no more.
        """
        if is_all:
            ready = -(-samples // _HOP_SAMPLES)
        else:
            whole = max(0, (samples - _FRAME_SAMPLES) // _HOP_SAMPLES + 1)
            ready = self._heard + (whole - self._heard) // _BLOCK_FRAMES * _BLOCK_FRAMES
        firsts = range(self._heard, ready, _BLOCK_FRAMES)
        with ThreadPoolExecutor(_THREADS) as threads:  # numpy lets others run while it computes
            self._found += threads.map(lambda first: self._block(first, ready, samples), firsts)
        self._heard = max(self._heard, ready)

    def levels(self) -> Levels:
        """Of all frames that were heard, when all were."""
        return np.concatenate([np.empty(0, np.float32), *self._found])

    def _block(self, first: int, ready: int, samples: int) -> Levels:
        count = min(_BLOCK_FRAMES, ready - first)
        start = first * _HOP_SAMPLES
        wanted = (count - 1) * _HOP_SAMPLES + _FRAME_SAMPLES
        block = read_samples(self._pcm_path, start, min(samples, start + wanted)).astype(np.float32)
        block = np.pad(block, (0, wanted - len(block)))
        framed = np.lib.stride_tricks.sliding_window_view(block, _FRAME_SAMPLES)[::_HOP_SAMPLES]
        spectrum = np.fft.rfft(framed * (self._window * self._scale), axis=1)[:, self._band]
        power = 2.0 * np.sum(spectrum.real**2 + spectrum.imag**2, axis=1) / _FRAME_SAMPLES
        levels: Levels = (10.0 * np.log10(np.maximum(power, 1e-12))).astype(np.float32)
        return levels


def sound_spans(levels: npt.NDArray[np.float32], duration_s: float) -> Spans:
    """The stretches of sound in a recording.

    Args:
        levels: from `levels_db`.
        duration_s: the end of the recording; no span passes it.

    Returns:
        shape (n, 2), seconds. Empty for a silent recording.
    """
    if len(levels) == 0:
        return np.empty((0, 2))
    third = np.full(3, 1 / 3, dtype=np.float32)
    smooth = np.convolve(np.pad(levels, 1, mode="edge"), third, mode="valid")
    quietest_db = np.percentile(smooth, _LOUDEST_PERCENTILE) - _BELOW_LOUDEST_DB
    threshold = np.minimum(_noise_floor_db(smooth) + _ABOVE_FLOOR_DB, quietest_db)
    threshold = np.maximum(threshold, _SILENT_BELOW_DB, dtype=np.float32)
    loud = smooth > np.repeat(threshold, _FRAMES_PER_S)[: len(smooth)]
    spans: Spans = _runs(loud).astype(np.float64) * HOP_S
    spans = spans[(spans[:, 1] - spans[:, 0]) >= _SHORTEST_SOUND_S]
    return merge_spans(spans, pad_s=PAD_S, join_s=_SHORTEST_SILENCE_S, end_s=duration_s)


def speech_spans(sound: Spans, probabilities: npt.NDArray[np.float32], duration_s: float) -> Spans:
    """The stretches in which somebody speaks.

    Where there is sound by level it says when a word begins and ends; speech that is too quiet for
    it is taken as the network found it.

    Args:
        sound: by level, in seconds, shape (n, 2).
        probabilities: of speech, from `silero.speech_probabilities`.
        duration_s: of the recording.

    Returns:
        shape (m, 2), seconds.
    """
    begun = _runs(probabilities >= _SPEECH_GOES_ON)
    sure = np.concatenate(([0], np.cumsum(probabilities >= _SPEECH_BEGINS)))
    enough = sure[begun[:, 1]] - sure[begun[:, 0]] >= round(_SHORTEST_SPEECH_S / _FRAME_S)
    speech: Spans = begun[enough].astype(np.float64) * _FRAME_S
    around = merge_spans(
        speech, pad_s=_SPEECH_PAD_S, join_s=_SHORTEST_SPEECH_PAUSE_S, end_s=duration_s
    )
    parts = [clip_spans(sound, start_s, end_s) for start_s, end_s in around]
    # Where less than half of what the network found is sound by level, that is deaf there.
    parts += [
        np.asarray([[max(0.0, start_s - PAD_S), min(end_s + PAD_S, duration_s)]])
        for start_s, end_s in speech
        if overlap_s(sound, start_s, end_s) < 0.5 * (end_s - start_s)
    ]
    found = np.concatenate([np.empty((0, 2)), *parts])
    found = found[np.argsort(found[:, 0], kind="stable")]
    found = found[found[:, 1] - found[:, 0] >= _SHORTEST_SOUND_S]
    return merge_spans(found, pad_s=0.0, join_s=_SHORTEST_SILENCE_S, end_s=duration_s)


def merge_spans(spans: Spans, *, pad_s: float, join_s: float, end_s: float) -> Spans:
    """Widen every span by `pad_s` on both sides and join those less than `join_s` apart."""
    if len(spans) == 0:
        return np.empty((0, 2))
    starts = np.maximum(spans[:, 0] - pad_s, 0.0)
    ends = np.minimum(spans[:, 1] + pad_s, end_s)
    apart = starts[1:] - np.maximum.accumulate(ends)[:-1] >= join_s
    first = np.concatenate(([True], apart))
    last = np.concatenate((apart, [True]))
    return np.column_stack((starts[first], np.maximum.accumulate(ends)[last]))


def silence_spans(sound: Spans, duration_s: float) -> Spans:
    """What lies between the spans of sound, the recording's beginning and end included."""
    edges = np.concatenate(([0.0], sound.reshape(-1), [duration_s])).reshape(-1, 2)
    return edges[edges[:, 1] > edges[:, 0]]


def clip_spans(spans: Spans, start_s: float, end_s: float) -> Spans:
    """The parts of the spans within [start, end], still on the same timeline."""
    first = int(np.searchsorted(spans[:, 1], start_s, side="right"))
    last = int(np.searchsorted(spans[:, 0], end_s, side="left"))
    return np.clip(spans[first:last], start_s, end_s)


def overlap_s(spans: Spans, start_s: float, end_s: float) -> float:
    """Seconds of [start, end] that the spans cover."""
    clipped = clip_spans(spans, start_s, end_s)
    return float(np.sum(clipped[:, 1] - clipped[:, 0]))


def _noise_floor_db(levels: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """For every second, the level that the quietest tenth of its surroundings stays under."""
    seconds = -(-len(levels) // _FRAMES_PER_S)
    padded = np.pad(levels, (0, seconds * _FRAMES_PER_S - len(levels)), mode="edge")
    quiet = np.empty(seconds, dtype=np.float32)
    for first in range(0, seconds, 1024):
        block = padded[first * _FRAMES_PER_S : (first + 1024) * _FRAMES_PER_S]
        quiet[first : first + 1024] = np.percentile(block.reshape(-1, _FRAMES_PER_S), 20.0, axis=1)
    half = _FLOOR_WINDOW_S // 2
    around = np.lib.stride_tricks.sliding_window_view(
        np.pad(quiet, half, mode="reflect" if seconds > half else "edge"), 2 * half + 1
    )
    floor = np.empty(seconds, dtype=np.float32)
    for first in range(0, seconds, 1024):  # percentile copies the windows: bounded at 1 MB
        floor[first : first + 1024] = np.percentile(
            around[first : first + 1024], _FLOOR_PERCENTILE, axis=1
        )
    return floor


def _runs(flags: npt.NDArray[np.bool_]) -> npt.NDArray[np.int64]:
    """Start and stop index of every run of True; shape (n, 2)."""
    edges = np.flatnonzero(np.diff(np.concatenate(([False], flags, [False])).astype(np.int8)))
    return edges.reshape(-1, 2).astype(np.int64)
