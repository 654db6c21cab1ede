"""What the search asks of a Whisper network, whatever computes it."""

from collections.abc import Sequence
from typing import NamedTuple, Protocol

import numpy as np
import numpy.typing as npt
from torch import Tensor

from longscribe.models.checkpoint import ModelDims

HEAD_DIM = 64  # of every Whisper model

# A spectrogram's frames come in so many: half of them are the encoder's positions, and those go
# through its attention in groups of 60 (pair_attention.py) and of 6 (vnni_attention.py).
FRAMES_STEP = 120

Caches = list[tuple[Tensor, Tensor]]  # of each decoder layer: keys and values
Heads = tuple[tuple[int, int], ...]  # (decoder layer, head), as in whisper's alignment heads
Attention = npt.NDArray[np.float32]


class First(NamedTuple):
    """What a network says after the prompt, for every window.

    Attributes:
        logits: of the first token after the prompt, (windows, vocabulary) float32 on the CPU.
        at_start: of the token after `<|startoftranscript|>`, likewise: language, and no speech.
    """

    logits: Tensor
    at_start: Tensor


class Session(Protocol):
    """Hypotheses that grow token by token, each in a row of its own; rows are sorted by window."""

    first: First

    def keep(self, rows: Sequence[int]) -> None:
        """Go on with these rows, in this order; a row named twice is copied, others are dropped."""

    def step(self, tokens: Sequence[int]) -> Tensor:
        """Give every row its next token; the logits after it, (rows, vocabulary) float32, CPU."""


class Network(Protocol):
    """A Whisper model at work. Encoded windows stay in it until the next `encode`."""

    dims: ModelDims
    added_texts: tuple[str, ...]  # of tokens besides Whisper's own; see models/added_tokens.py

    def shallow(self) -> "Network":
        """The first layers alone: all the kernels of the whole, in a fraction of its time."""

    def encode(self, mels: Sequence[Tensor]) -> None:
        """Listen to windows, each a log-mel spectrogram (n_mels, n) float32.

        Args:
            mels: up to 3000 frames each, a multiple of `FRAMES_STEP`. Those left out are silence,
                as the last one is: a network may do without their positions.
        """

    def start(
        self, windows: Sequence[int], prompt: Sequence[int], start_at: int, rows_per_window: int
    ) -> Session:
        """Begin to decode windows, named by their place in the last `encode`.

        Args:
            windows: ascending.
            prompt: tokens before the first decoded one.
            start_at: place of `<|startoftranscript|>` in the prompt.
            rows_per_window: how many rows a window will have at most.
        """

    def attention(
        self, window: int, tokens: Sequence[int], heads: Heads, *, all_logits: bool = True
    ) -> tuple[Attention, Tensor]:
        """Cross-attention of some heads while a window is given a text.

        Returns:
            scores before the softmax, (heads, tokens, 1500) float32; logits, (tokens, vocabulary),
            or of the last token alone, (1, vocabulary).
        """
