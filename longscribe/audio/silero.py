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
    frames = -(-samples // FRAME_SAMPLES)
    result = np.empty(frames, np.float32)
    if frames == 0:
        return result
    gains = _gains(pcm_path, samples)
    # In parts: what the cell hears of ten hours would be 2 GB.
    for start in range(0, frames, _PART_FRAMES):
        stop = min(frames, start + _PART_FRAMES)
        early = max(0, start - _WARM_UP_FRAMES)
        block = read_samples(
            pcm_path,
            max(0, early * FRAME_SAMPLES - _CONTEXT_SAMPLES),
            min(samples, stop * FRAME_SAMPLES),
        )
        result[start:stop] = _of_block(block, gains[early:stop], early == 0)[start - early :]
    return result


def _of_block(block: npt.NDArray[np.int16], gains: _Floats, is_first: bool) -> Probabilities:
    frames = len(gains)
    weights = _weights()
    inputs = np.empty((frames, 4 * _HIDDEN), np.float32)
    if is_first:  # nothing comes before it
        block = np.concatenate([np.zeros(_CONTEXT_SAMPLES, np.int16), block])
    for first in range(0, frames, _BLOCK_FRAMES):
        count = min(_BLOCK_FRAMES, frames - first)
        framed = _framed(block, first, count) * gains[first : first + count, None]
        features = _features(framed, weights)
        inputs[first : first + count] = features @ weights.cell_input + weights.cell_bias
    return _recurrent(inputs, weights)


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


def _gains(pcm_path: Path, samples: int) -> _Floats:
    """What brings the loudest sample within some seconds of each frame to half of full scale."""
    frames = -(-samples // FRAME_SAMPLES)
    peaks = np.zeros(frames + 2 * _LEVEL_FRAMES, np.float32)
    for start in range(0, frames, _PART_FRAMES):
        stop = min(frames, start + _PART_FRAMES)
        block = read_samples(pcm_path, start * FRAME_SAMPLES, min(samples, stop * FRAME_SAMPLES))
        padded = np.zeros((stop - start) * FRAME_SAMPLES, np.float32)
        padded[: len(block)] = np.abs(block.astype(np.float32))
        place = _LEVEL_FRAMES + start
        peaks[place : place + stop - start] = padded.reshape(-1, FRAME_SAMPLES).max(axis=1)
    around = np.lib.stride_tricks.sliding_window_view(peaks, 2 * _LEVEL_FRAMES + 1).max(axis=1)
    quietest = _LEVEL / _LARGEST_GAIN
    gains: _Floats = (_LEVEL / np.maximum(around / 32768.0, quietest)).astype(np.float32)
    return gains


def _framed(block: npt.NDArray[np.int16], first: int, count: int) -> _Floats:
    """Frames with what comes before and, mirrored, after them, (count, 640) float32."""
    length = _CONTEXT_SAMPLES + FRAME_SAMPLES
    start = first * FRAME_SAMPLES
    values = np.zeros(_CONTEXT_SAMPLES + count * FRAME_SAMPLES, np.float32)
    taken = block[start : start + len(values)]
    values[: len(taken)] = taken
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
