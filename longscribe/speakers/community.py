"""pyannote's community-1, which hears a recording as a whole.

Its embeddings are 256 numbers of a network of its own: they say nothing to the built-in ones, nor
to the voices that were enrolled by them.
"""

import base64
import hashlib
import json
import logging
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from threading import Event, Thread
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np
from pydantic import BaseModel, ConfigDict

from longscribe.audio.recording import SAMPLE_RATE_HZ, read_samples, to_float
from longscribe.audio.voice_activity import Spans
from longscribe.cache.code import sources_sha256, versions_of
from longscribe.models.library_noise import without_noise
from longscribe.options.speakers import VoiceCount
from longscribe.runtime.machine import instruction_set
from longscribe.speakers.community_weights import (
    SENDS_NOTHING,
    CommunityWeights,
    not_loaded,
)
from longscribe.speakers.diarization import Diarization
from longscribe.speakers.parts import Part
from longscribe.speakers.turns import Timed
from longscribe.speakers.windows import Embeddings

if TYPE_CHECKING:
    import torch

_SOURCES: Final = ("speakers/community.py",)
_LIBRARIES: Final = ("pyannote.audio", "torch", "numpy", "scipy")
_BLOCK_SAMPLES: Final = 60 * SAMPLE_RATE_HZ
_LOGGERS: Final = ("lightning.pytorch", "lightning.fabric", "pyannote")
# How long it takes is not measured: an embedding network hears three voices in ten seconds, every
# second, which slow cores need a few seconds for.
_LIMIT_PER_S: Final = 20.0
_LEAST_LIMIT_S: Final = 900.0
_TICK_S: Final = 1.0
_LAST_OF_NETWORKS: Final = "embeddings"

Hearing = Callable[..., Any]  # a pyannote.audio.pipelines.SpeakerDiarization


class HeardPeople(BaseModel):
    """What is kept of a recording.

    Attributes:
        turns: (start, end, person), in seconds, sorted; people are numbered as they come.
        embeddings: float32 of shape (people, numbers), base64.
        people: how many there are.
    """

    model_config = ConfigDict(frozen=True)

    turns: tuple[Timed, ...]
    embeddings: str
    people: int

    def heard_embeddings(self) -> Embeddings:
        """What each person sounds like, of length 1, shape (people, numbers)."""
        found = np.frombuffer(base64.b64decode(self.embeddings), "<f4")
        return found.reshape(self.people, -1 if found.size else 0).astype(np.float32)


class Community(NamedTuple):
    """A `Diarizer`: what is kept of its one part is a `HeardPeople`.

    Attributes:
        weights: of the pipeline.
        voices: how many there may be.
    """

    weights: CommunityWeights
    voices: VoiceCount

    @property
    def networks(self) -> str:
        """Their name."""
        return "community-1"

    def parts(self, pcm_path: Path, samples: int, spoken: Spans) -> list[Part]:
        """The whole recording, if anybody may be speaking in it."""
        if not len(spoken):
            return []
        return [Part(index=0, count=1, pcm_path=pcm_path, samples=samples)]

    def key(self, part: Part) -> str:
        """The sha256 that names what is heard: all that this depends on, and nothing else."""
        with part.pcm_path.open("rb") as samples:
            digest = hashlib.file_digest(samples, "sha256")
        content = {
            "code": sources_sha256(_SOURCES),
            "libraries": versions_of(*_LIBRARIES),
            "instructions": instruction_set(),
            "weights": self.weights.sha256,
            "samples": digest.hexdigest(),
            "voices": self.voices,
        }
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()

    def limit_s(self, part: Part) -> float:
        """How much of its worker's time it may take, in seconds."""
        return max(_LEAST_LIMIT_S, _LIMIT_PER_S * part.samples / SAMPLE_RATE_HZ)

    def hear(self, part: Part, on_progress: Callable[[], None] = lambda: None) -> str:
        """Hear a recording; a `HeardPeople` as JSON.

        Raises:
            ModelError: the pipeline cannot be loaded.
        """
        pipeline = _loaded(self.weights)
        return people_heard(pipeline, part, self.voices, on_progress).model_dump_json()

    def check(self, heard: str) -> None:
        """See that something that was kept is whole.

        Raises:
            ValueError: it is not.
        """
        HeardPeople.model_validate_json(heard).heard_embeddings()

    def diarization(
        self, heard: Sequence[tuple[Part, str]], duration_s: float, spoken: Spans
    ) -> Diarization:
        """Who spoke when; nobody where it could not be heard."""
        if not heard:
            return Diarization([], np.empty((0, 0), np.float32))
        ((_, content),) = heard
        found = HeardPeople.model_validate_json(content)
        return Diarization(list(found.turns), found.heard_embeddings())


def people_heard(
    pipeline: Hearing,
    part: Part,
    count: VoiceCount,
    on_progress: Callable[[], None] = lambda: None,
) -> HeardPeople:
    """Let a pipeline hear a recording.

    Args:
        pipeline: that gives a `DiarizeOutput` of pyannote.audio 4.
        part: the recording.
        count: how many people there may be.
        on_progress: called for every layer of a network, and every second while none works.
    """
    bounds = (
        {"num_speakers": count.least}
        if count.least == count.most
        else {"min_speakers": count.least, "max_speakers": count.most}
    )
    file = {"uri": "recording", "waveform": _waveform(part), "sample_rate": SAMPLE_RATE_HZ}
    with without_noise(_LOGGERS, logging.ERROR), _progress(on_progress) as hook:
        output = pipeline(file, hook=hook, **bounds)
    return _told(output, part.samples / SAMPLE_RATE_HZ)


def _told(output: Any, duration_s: float) -> HeardPeople:
    """What a `DiarizeOutput` says, for a recording of so many seconds."""
    told = [
        (round(float(turn.start), 3), round(min(float(turn.end), duration_s), 3), str(label))
        for turn, _, label in output.speaker_diarization.itertracks(yield_label=True)
    ]
    told = sorted(
        one for one in told if one[0] < one[1]
    )  # its last window ends after the recording
    order = list(dict.fromkeys(label for *_, label in told))
    embeddings = _in_order(output, order)
    return HeardPeople(
        turns=tuple((start_s, end_s, order.index(label)) for start_s, end_s, label in told),
        embeddings=base64.b64encode(embeddings.astype("<f4").tobytes()).decode(),
        people=len(order),
    )


def _in_order(output: Any, order: Sequence[str]) -> Embeddings:
    """What each of the people sounds like, of length 1; nothing where it is not told."""
    if output.speaker_embeddings is None:
        return np.empty((len(order), 0), np.float32)
    labels = [str(label) for label in output.speaker_diarization.labels()]
    # Somebody who is only heard beside others has no number at all.
    found = np.nan_to_num(np.asarray(output.speaker_embeddings, np.float32))
    found = found[[labels.index(label) for label in order]]
    lengths = np.maximum(np.linalg.norm(found, axis=-1, keepdims=True), 1e-9)
    return np.asarray(found / lengths, np.float32)


def _waveform(part: Part) -> "torch.Tensor":
    """All samples, in float32 and never twice: shape (1, samples)."""
    import torch

    waveform = torch.empty(1, part.samples)
    for start in range(0, part.samples, _BLOCK_SAMPLES):
        stop = min(part.samples, start + _BLOCK_SAMPLES)
        waveform[0, start:stop] = torch.from_numpy(
            to_float(read_samples(part.pcm_path, start, stop))
        )
    return waveform


@lru_cache(maxsize=1)
def _loaded(weights: CommunityWeights) -> Hearing:
    """The pipeline of this process, loaded once.

    Raises:
        ModelError: it cannot be.
    """
    os.environ.update(SENDS_NOTHING)  # read whenever it would send
    with without_noise(_LOGGERS, logging.ERROR):
        try:
            from pyannote.audio import Pipeline

            pipeline: Hearing | None = Pipeline.from_pretrained(weights.folder)
        except Exception as error:  # whatever torch, pickle, yaml and pyannote make of it
            raise not_loaded(weights.folder, f"{type(error).__name__}: {error}") from None
    assert pipeline is not None  # as only the hub may give none
    return pipeline


@contextmanager
def _progress(on_progress: Callable[[], None]) -> Iterator[Callable[..., None]]:
    """Call it for every layer of a network; gives the hook that the pipeline wants.

    A batch of its networks takes longer than a worker may be silent, and so does the tree of all
    voices, in scipy, which tells nothing: from then on a clock does.
    """
    from torch.nn.modules.module import register_module_forward_hook

    over = Event()

    def tick() -> None:
        while not over.wait(_TICK_S):
            on_progress()

    clock = Thread(target=tick, name="community-1", daemon=True)

    def hook(step: str, _: Any = None, *, completed: int | None = None, **__: Any) -> None:
        on_progress()
        if step == _LAST_OF_NETWORKS and completed is None and not clock.is_alive():
            clock.start()

    layers = register_module_forward_hook(lambda *_: on_progress())
    try:
        yield hook
    finally:
        layers.remove()
        over.set()
        if clock.ident is not None:
            clock.join()
