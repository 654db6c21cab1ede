"""Speech probabilities by silero-vad, computed with numpy: the parent of a run loads no torch.

The network is that of silero-vad 6.2.3 (https://github.com/snakers4/silero-vad, MIT), its weights
for 16 kHz are those of its silero_vad.jit (the .safetensors of that package are older ones): per 32 ms a short-time Fourier transform, four convolutions and a
recurrent cell. The convolutions go over blocks of frames at once. The recurrent cell, which goes
frame by frame, is run over many strands of the recording side by side, each beginning some seconds
early, as its state forgets within less.
"""

from functools import cache
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

Probabilities = npt.NDArray[np.float32]
_Floats = npt.NDArray[np.float32]

FRAME_SAMPLES: Final = 512  # of 16 kHz: 32 ms
_CONTEXT_SAMPLES: Final = 64  # of the frame before
_REFLECTED_SAMPLES: Final = 64
_WINDOW_SAMPLES, _HOP_SAMPLES = 256, 128
_BINS: Final = 129
_HIDDEN: Final = 128
_BLOCK_FRAMES: Final = 2048
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


def speech_probabilities(samples: npt.NDArray[np.int16]) -> Probabilities:
    """How probable speech is in each frame of 32 ms.

    Args:
        samples: (n,) int16, mono, 16 kHz.

    Returns:
        (ceil(n / 512),) float32, 0 to 1.
    """
    frames = -(-len(samples) // FRAME_SAMPLES)
    if frames == 0:
        return np.empty(0, np.float32)
    weights = _weights()
    inputs = np.empty((frames, 4 * _HIDDEN), np.float32)
    for first in range(0, frames, _BLOCK_FRAMES):
        count = min(_BLOCK_FRAMES, frames - first)
        features = _features(_framed(samples, first, count), weights)
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


def _framed(samples: npt.NDArray[np.int16], first: int, count: int) -> _Floats:
    """Frames with what comes before and, mirrored, after them, (count, 640) float32."""
    start = first * FRAME_SAMPLES - _CONTEXT_SAMPLES
    block = np.zeros(_CONTEXT_SAMPLES + count * FRAME_SAMPLES, np.float32)
    taken = samples[max(0, start) : first * FRAME_SAMPLES + count * FRAME_SAMPLES]
    offset = max(0, -start)
    block[offset : offset + len(taken)] = taken
    block /= 32768.0
    length = _CONTEXT_SAMPLES + FRAME_SAMPLES
    framed = np.lib.stride_tricks.sliding_window_view(block, length)[::FRAME_SAMPLES]
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
    return 1.0 / (1.0 + np.exp(-x))  # type: ignore[no-any-return]
