"""Parts of a recording in which voices are heard, and what was heard in them.

A recording is heard in windows of ten seconds. In each up to three voices are told apart. Which of
them are the same person is told later, over the whole recording.
"""

import base64
import hashlib
import json
from typing import Final

import numpy as np
from pydantic import BaseModel, ConfigDict

from longscribe.audio.recording import read_samples
from longscribe.cache.code import sources_sha256, versions_of
from longscribe.runtime.machine import instruction_set
from longscribe.speakers.parts import Part
from longscribe.speakers.windows import (
    EMBEDDING_SIZE,
    LOCAL_VOICES,
    STEP_SAMPLES,
    WINDOW_FRAMES,
    WINDOW_SAMPLES,
    Activity,
    Embeddings,
)

_SOURCES: Final = tuple(
    f"speakers/{name}.py"
    for name in ("embedding", "features", "listening", "segmentation", "spans", "windows")
)
_LIBRARIES: Final = ("torch", "numpy", "kaldi-native-fbank")


class Span(Part):
    """A part of a recording, by its windows.

    Attributes:
        windows: their numbers; number n begins at sample n * STEP_SAMPLES.
    """

    windows: tuple[int, ...]

    @property
    def start_sample(self) -> int:
        """Where the first window begins."""
        return self.windows[0] * STEP_SAMPLES

    @property
    def stop_sample(self) -> int:
        """Where the last window ends, or the recording."""
        return min(self.samples, self.windows[-1] * STEP_SAMPLES + WINDOW_SAMPLES)

    def key(self, weights: tuple[str, ...]) -> str:
        """The sha256 that names what is heard in it: all that this depends on, and nothing else.

        Args:
            weights: digests of both networks'.
        """
        samples = read_samples(self.pcm_path, self.start_sample, self.stop_sample)
        content = {
            "code": sources_sha256(_SOURCES),
            "libraries": versions_of(*_LIBRARIES),
            "instructions": instruction_set(),
            "weights": weights,
            "samples": hashlib.sha256(samples.tobytes()).hexdigest(),
            "windows": [number - self.windows[0] for number in self.windows],
        }
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


class SpanVoices(BaseModel):
    """What was heard in a span.

    Attributes:
        windows: how many windows after the span's first each is.
        activity: packed bits of shape (windows, WINDOW_FRAMES, LOCAL_VOICES), base64.
        voices: (which of the windows, which of its voices) of each embedding.
        alone_s: for how long each of those is heard alone.
        embeddings: float16 of shape (voices, EMBEDDING_SIZE), base64.
    """

    model_config = ConfigDict(frozen=True)

    windows: tuple[int, ...]
    activity: str
    voices: tuple[tuple[int, int], ...]
    alone_s: tuple[float, ...]
    embeddings: str

    def heard_activity(self) -> Activity:
        """Who of each window's voices is heard in each frame, shape (windows, frames, 3)."""
        shape = (len(self.windows), WINDOW_FRAMES, LOCAL_VOICES)
        bits = np.frombuffer(base64.b64decode(self.activity), np.uint8)
        flat = np.unpackbits(bits, count=int(np.prod(shape)))
        return flat.reshape(shape).astype(np.bool_)

    def heard_embeddings(self) -> Embeddings:
        """What each voice sounds like, of length 1, shape (voices, 192)."""
        found = np.frombuffer(base64.b64decode(self.embeddings), "<f2")
        return found.reshape(-1, EMBEDDING_SIZE).astype(np.float32)
