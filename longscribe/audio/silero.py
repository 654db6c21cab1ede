"""Speech probabilities by silero-vad, computed with numpy: the parent of a run loads no torch.

The network is that of silero-vad 6.2.3 (https://github.com/snakers4/silero-vad, MIT); the weights
for 16 kHz are those of its silero_vad.jit, as the .safetensors in that package are older ones. For
each 32 ms there are a short-time Fourier transform, four convolutions and a recurrent cell. The
convolutions go over blocks of frames at once. The cell, which goes frame by frame, is run over many
strands of the recording side by side, each beginning some seconds early: its state forgets within
less.

What it hears is brought to one level first, as it takes people 60 dB down for nothing at all.
"""

from functools import cache
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from longscribe.audio.recording import read_samples

Probabilities = npt.NDArray[np.float32]
_Floats = npt.NDArray[np.float32]

FRAME_SAMPLES: Final = 512  # of 16 kHz: 32 ms
_CONTEXT_SAMPLES: Final = 64  # of the frame before
_REFLECTED_SAMPLES: Final = 64
_WINDOW_SAMPLES, _HOP_SAMPLES = 256, 128
_BINS: Final = 129
_HIDDEN: Final = 128
_BLOCK_FRAMES: Final = 2048
_PART_FRAMES: Final = 1 << 16  # 35 minutes
_LEVEL: Final = np.float32(0.5)  # of full scale
_LEVEL_FRAMES: Final = 94  # 3 s before and after
_LARGEST_GAIN: Final = np.float32(300.0)  # 50 dB: below that are the last bits of a silence
_WARM_UP_FRAMES: Final = 160  # 5 s
_STRAND_FRAMES: Final = 960  # 31 s
_STRANDS: Final = 64  # side by side at most


class _Weights(NamedTuple):
    stft: _Floats  # (256, 258)
    convolutions: tuple[tuple[_Floats, _Floats, int], ...]  # (3 * in, out), (out,), stride
    cell_input: _Floats  # (128, 512)
    cell_hidden: _Floats  # (128, 512)
    cell_bias: _Floats  # (512,)
    final: _Floats  # (128,)
    final_bias: float


def speech_probabilities(pcm_path: Path, samples: int) -> Probabilities:
    """How probable speech is in each frame of 32 ms of a scratch file.

    Args:
        pcm_path: int16 mono at 16 kHz.
        samples: in it.

    Returns:
        (ceil(samples / 512),) float32, 0 to 1.
    """
    listener = SpeechListener(pcm_path)
    listener.hear(samples, is_all=True)
    return listener.probabilities()


class SpeechListener:
    """The same of a file that is still being written, as far as it goes.

    Args:
        pcm_path: int16 mono at 16 kHz.
    """

    def __init__(self, pcm_path: Path) -> None:
        self._pcm_path = pcm_path
        self._peaks = np.zeros(_LEVEL_FRAMES, np.float32)  # from so many before the next frame on
        self._heard = 0  # frames
        # In parts: what the cell hears of ten hours would be 2 GB.
        self._part_from = 0
        self._inputs: _Floats | None = None  # from _WARM_UP_FRAMES before the part on
        self._found: list[Probabilities] = []

    def hear(self, samples: int, *, is_all: bool) -> None:
        """Hear what was not heard yet, but for a rest that needs what comes after it.

        Args:
            samples: that the file has.
            is_all: whether there will be no more.
        """
        frames = -(-samples // FRAME_SAMPLES) if is_all else samples // FRAME_SAMPLES
        ready = frames if is_all else frames - _LEVEL_FRAMES
        while self._heard < ready:
            last = self._part_from + _PART_FRAMES
            count = min(_BLOCK_FRAMES, last - self._heard)
            if self._heard + count > ready:
                if not is_all:
                    return
                count = ready - self._heard
            self._hear_block(count, samples)
            if self._heard == last:
                self._end_part()
        if is_all and self._heard > self._part_from:
            self._end_part()

    def probabilities(self) -> Probabilities:
        """Of all frames that were heard, when all were."""
        return np.concatenate([np.empty(0, np.float32), *self._found])

    def _hear_block(self, count: int, samples: int) -> None:
        weights = _weights()
        if self._inputs is None:
            self._inputs = np.empty((_WARM_UP_FRAMES + _PART_FRAMES, 4 * _HIDDEN), np.float32)
        first = self._heard
        start = first * FRAME_SAMPLES - _CONTEXT_SAMPLES
        stop = min(samples, (first + count) * FRAME_SAMPLES)
        block = read_samples(self._pcm_path, max(0, start), stop)
        if start < 0:  # nothing comes before it
            block = np.concatenate([np.zeros(_CONTEXT_SAMPLES, np.int16), block])
        framed = _framed(block, count) * self._gains(count, samples)[:, None]
        at = _WARM_UP_FRAMES + first - self._part_from
        features = _features(framed, weights)
        self._inputs[at : at + count] = features @ weights.cell_input + weights.cell_bias
        self._heard += count

    def _gains(self, count: int, samples: int) -> _Floats:
        """What brings the loudest sample within some seconds of each frame to half of full scale.

        Args:
            count: of the frames that are next.
            samples: that the file has.
        """
        wanted = count + 2 * _LEVEL_FRAMES
        measured = self._heard - _LEVEL_FRAMES + len(self._peaks)
        more = wanted - len(self._peaks)
        block = read_samples(
            self._pcm_path,
            min(samples, measured * FRAME_SAMPLES),
            min(samples, (measured + more) * FRAME_SAMPLES),
        )
        padded = np.zeros(more * FRAME_SAMPLES, np.float32)
        padded[: len(block)] = np.abs(block.astype(np.float32))
        found = padded.reshape(-1, FRAME_SAMPLES).max(axis=1)
        peaks = np.concatenate([self._peaks, found])
        self._peaks = peaks[count:]
        around = np.lib.stride_tricks.sliding_window_view(peaks, 2 * _LEVEL_FRAMES + 1).max(axis=1)
        quietest = _LEVEL / _LARGEST_GAIN
        gains: _Floats = (_LEVEL / np.maximum(around / 32768.0, quietest)).astype(np.float32)
        return gains

    def _end_part(self) -> None:
        assert self._inputs is not None
        early = min(_WARM_UP_FRAMES, self._part_from)
        count = self._heard - self._part_from
        inputs = self._inputs[_WARM_UP_FRAMES - early : _WARM_UP_FRAMES + count]
        self._found.append(_recurrent(inputs, _weights())[early:])
        kept = self._inputs[count : count + _WARM_UP_FRAMES].copy()
        self._part_from = self._heard
        self._inputs[:_WARM_UP_FRAMES] = kept


@cache
def _weights() -> _Weights:
    from safetensors.numpy import load_file

    kept = load_file(Path(__file__).with_name("silero_vad.safetensors"))
    convolutions = tuple(
        (
            # (out, in, 3) to (3 * in, out): the three places of the kernel after each other.
            np.ascontiguousarray(
                kept[f"conv{i}.weight"].transpose(2, 1, 0).reshape(-1, len(kept[f"conv{i}.bias"]))
            ),
            kept[f"conv{i}.bias"],
            stride,
        )
        for i, stride in ((1, 1), (2, 2), (3, 2), (4, 1))
    )
    return _Weights(
        np.ascontiguousarray(kept["stft_conv.weight"][:, 0].T),
        convolutions,
        np.ascontiguousarray(kept["lstm_cell.weight_ih"].T),
        np.ascontiguousarray(kept["lstm_cell.weight_hh"].T),
        kept["lstm_cell.bias_ih"] + kept["lstm_cell.bias_hh"],
        kept["final_conv.weight"].reshape(-1),
        float(kept["final_conv.bias"][0]),
    )


def _framed(block: npt.NDArray[np.int16], count: int) -> _Floats:
    """Frames with what comes before and, mirrored, after them, (count, 640) float32."""
    length = _CONTEXT_SAMPLES + FRAME_SAMPLES
    values = np.zeros(_CONTEXT_SAMPLES + count * FRAME_SAMPLES, np.float32)
    values[: len(block)] = block
    values /= 32768.0
    framed = np.lib.stride_tricks.sliding_window_view(values, length)[::FRAME_SAMPLES]
    mirrored = framed[:, length - 1 - _REFLECTED_SAMPLES : length - 1][:, ::-1]
    return np.concatenate([framed, mirrored], axis=1)


def _features(framed: _Floats, weights: _Weights) -> _Floats:
    """What the recurrent cell hears, (count, 128)."""
    windows = np.lib.stride_tricks.sliding_window_view(framed, _WINDOW_SAMPLES, axis=1)
    spectrum = windows[:, ::_HOP_SAMPLES].reshape(-1, _WINDOW_SAMPLES) @ weights.stft
    real, imaginary = spectrum[:, :_BINS], spectrum[:, _BINS:]
    x = np.sqrt(real**2 + imaginary**2).reshape(len(framed), -1, _BINS)
    for kernel, bias, stride in weights.convolutions:
        count, length, width = x.shape
        padded = np.zeros((count, length + 2, width), np.float32)
        padded[:, 1:-1] = x
        outputs = (length - 1) // stride + 1
        gathered = np.concatenate(
            [padded[:, place : place + length : stride][:, :outputs] for place in range(3)], axis=2
        )
        x = np.maximum(gathered.reshape(count * outputs, -1) @ kernel + bias, 0.0)
        x = x.reshape(count, outputs, -1)
    return x[:, 0]


def _recurrent(inputs: _Floats, weights: _Weights) -> Probabilities:
    """The cell over all frames, in strands side by side."""
    frames = len(inputs)
    result = np.empty(frames, np.float32)
    starts = np.arange(0, frames, _STRAND_FRAMES)
    for group in range(0, len(starts), _STRANDS):
        firsts = starts[group : group + _STRANDS]
        hidden = np.zeros((len(firsts), _HIDDEN), np.float32)
        cell = np.zeros_like(hidden)
        for step in range(-_WARM_UP_FRAMES, _STRAND_FRAMES):
            places = firsts + step
            heard = (places >= 0) & (places < frames)
            if not heard.any():  # of a short recording: most of a strand
                continue
            gates = inputs[np.clip(places, 0, frames - 1)] + hidden @ weights.cell_hidden
            let_in, forget, candidate, out = np.split(gates, 4, axis=1)
            cell = _sigmoid(forget) * cell + _sigmoid(let_in) * np.tanh(candidate)
            hidden = _sigmoid(out) * np.tanh(cell)
            if not heard.all():  # before the beginning: the state stays empty
                cell[~heard], hidden[~heard] = 0.0, 0.0
            if step >= 0:
                logits = np.maximum(hidden, 0.0) @ weights.final + weights.final_bias
                result[places[heard]] = _sigmoid(logits)[heard]
    return result


def _sigmoid(x: _Floats) -> _Floats:
    result: _Floats = np.float32(1.0) / (np.float32(1.0) + np.exp(-x))
    return result
