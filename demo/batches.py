"""Batches of windows as tensors: log-mel spectrograms, decoder inputs and targets."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from whisper.audio import mel_filters

from demo.tokens import UNUSED, TokenMap
from demo.windows import IGNORED, Window, WindowMaker, load_utterances

MELS, FFT_SAMPLES, HOP_SAMPLES = 80, 400, 160
Batch = dict[str, Tensor]


def log_mels(windows: list[Window], rng: np.random.Generator) -> Tensor:
    """Normalized log-mel spectrograms, B x 80 x frames, as whisper.log_mel_spectrogram's.

    The floor lies 8 (80 dB) under the loudest point of the whole recording, which a window need not
    contain; frames beyond a window's end are zero.
    """
    audio = torch.from_numpy(np.stack([window.audio for window in windows]))
    spectrum = torch.stft(
        audio, FFT_SAMPLES, HOP_SAMPLES, window=torch.hann_window(FFT_SAMPLES), return_complex=True
    )
    power = spectrum[..., :-1].abs() ** 2
    log: Tensor = (mel_filters("cpu", MELS) @ power).clamp(min=1e-10).log10()
    for i, window in enumerate(windows):
        loudest = float(log[i].max())
        if rng.random() < 0.5:
            loudest += float(rng.uniform(0.0, 1.5))
        if rng.random() < 0.3:  # another microphone
            log[i] += torch.linspace(-0.5, 0.5, MELS)[:, None] * float(rng.uniform(-1.2, 1.2))
        log[i] = (log[i].clamp(min=loudest - 8.0) + 4.0) / 4.0
        if rng.random() < 0.25:
            low = int(rng.integers(0, MELS - 8))
            log[i, low : low + int(rng.integers(2, 9))] = log[i].mean()
        log[i, :, 2 * window.valid_positions :] = 0.0
    return log


def collate(windows: list[Window], rng: np.random.Generator) -> Batch:
    """One batch; token sequences are padded with the unused token, their targets ignored."""
    length = max(len(window.tokens) for window in windows)

    def padded(rows: list[list[int]], fill: int) -> Tensor:
        return torch.tensor([row + [fill] * (length - len(row)) for row in rows])

    spans = torch.full((len(windows), length, 2), -1.0)
    for i, window in enumerate(windows):
        spans[i, : len(window.spans)] = torch.tensor(window.spans)
    return {
        "mel": log_mels(windows, rng).to(torch.bfloat16),
        "offset": torch.tensor([window.offset for window in windows]),
        "frames": torch.from_numpy(np.stack([window.frame_labels for window in windows])).short(),
        "tokens": padded([window.tokens for window in windows], UNUSED),
        "targets": padded([window.targets for window in windows], IGNORED),
        "spans": spans,
    }


class BatchStream(torch.utils.data.IterableDataset[Batch]):
    """Endless batches; the mix of window lengths follows a shared progress value."""

    def __init__(
        self, folder: Path, seed: int, rank: int, progress: Tensor, mixes: list[MixStage]
    ) -> None:
        self._folder, self._seed, self._rank = folder, seed, rank
        self._progress, self._mixes = progress, mixes

    def __iter__(self) -> Iterator[Batch]:
        torch.set_num_threads(1)
        # All ranks draw the same sizes, so that none waits for another, but other windows.
        shape_rng = np.random.default_rng(self._seed)
        tokens = TokenMap()
        maker = WindowMaker(
            load_utterances(self._folder, tokens), tokens, self._seed * 1000 + self._rank
        )
        while True:
            done = float(self._progress[0])
            stage = next(stage for stage in self._mixes if done <= stage.until)
            maker.rough_share = 0.3 if stage is self._mixes[0] else 1.0
            kind = int(shape_rng.choice(len(stage.shares), p=stage.shares))
            positions, count = stage.sizes[kind]
            # Prompts are long: together in few batches they pad fewer of the others.
            maker.prompt_share = 0.8 if shape_rng.random() < 0.2 else 0.0
            yield collate([maker.draw(positions) for _ in range(count)], maker.rng)


class MixStage:
    """Until a share of the training: window sizes (positions, windows) and how often."""

    def __init__(
        self, until: float, sizes: list[tuple[int, int]], shares: tuple[float, ...]
    ) -> None:
        self.until, self.sizes, self.shares = until, sizes, shares
