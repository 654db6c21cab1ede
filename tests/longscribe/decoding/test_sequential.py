"""openai-whisper's own loop over our mapped weights: its own result."""

from dataclasses import asdict
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import whisper
from whisper.model import Whisper

from longscribe.decoding import sequential
from longscribe.decoding.sequential import speech_clips, transcribe_sequentially
from longscribe.models.weights import ModelSpec
from longscribe.options import DecodingOptions
from tests.recordings import SYNTHETIC_PT, beginning, sound_in
from tests.sounds import RATE_HZ


@pytest.fixture(scope="module")
def model(demo: ModelSpec) -> Whisper:
    return sequential.load(demo, "cpu")


def test_the_mapped_model_has_upstream_s_state(model: Whisper, upstream: Whisper) -> None:
    ours, theirs = model.state_dict(), upstream.state_dict()
    assert list(ours) == list(theirs)
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)
    buffers = dict(upstream.named_buffers())
    assert set(dict(model.named_buffers())) == set(buffers)
    for name, buffer in model.named_buffers():
        assert torch.equal(buffer.to_dense(), buffers[name].to_dense())
    assert model.dims == upstream.dims


def test_a_chunk_gets_upstream_s_segments_for_its_clips(demo: ModelSpec, upstream: Whisper) -> None:
    """`whisper.transcribe` over the mapped model, and over the one that it loads itself."""
    part = beginning()[: 30 * RATE_HZ]
    sound = sound_in(part)
    ours = transcribe_sequentially(
        demo, "cpu", part, sound, DecodingOptions(decoding="sequential", word_timestamps=True), 1
    )
    theirs = whisper.transcribe(
        upstream,
        part,
        fp16=False,
        language="en",
        word_timestamps=True,
        condition_on_previous_text=False,
        clip_timestamps=speech_clips(sound, len(part)).reshape(-1).tolist(),
    )
    assert (ours.language, len(ours.segments)) == ("en", len(theirs["segments"]))
    for mine, their in zip(ours.segments, theirs["segments"], strict=True):
        found = asdict(mine)
        found["tokens"], found["words"] = list(mine.tokens), [asdict(w) for w in mine.words or ()]
        del found["language"], found["language_probability"]  # ours
        assert found == their


def test_a_prompt_with_a_special_token_s_name_is_heard_as_text(demo: ModelSpec) -> None:
    part = beginning()[: 10 * RATE_HZ]
    options = DecodingOptions(decoding="sequential", initial_prompt="Notes <|endoftext|>")
    assert transcribe_sequentially(demo, "cpu", part, sound_in(part), options, 1).segments


def test_portuguese_is_heard(model: Whisper) -> None:
    part = beginning(SYNTHETIC_PT, 37.0)
    language, probability = sequential.detect_language(
        model, part, speech_clips(sound_in(part), len(part))
    )
    assert language == "pt"
    assert probability > 0.8


def test_a_doubtful_beginning_is_outvoted() -> None:
    """Windows of two minutes: the first, from the middle and from the last third."""
    votes = iter([{"en": 0.55, "pt": 0.45}, {"en": 0.1, "pt": 0.9}, {"en": 0.2, "pt": 0.8}])
    model = SimpleNamespace(
        dims=SimpleNamespace(n_mels=80),
        device=torch.device("cpu"),
        detect_language=lambda _: (None, next(votes)),
    )
    samples = np.zeros(120 * RATE_HZ, np.float32)
    found = sequential.detect_language(model, samples, np.array([[0.0, 120.0]]))
    assert found == ("pt", pytest.approx((0.45 + 0.9 + 0.8) / 3))


def test_long_silences_are_left_out_and_short_ones_kept() -> None:
    sound = np.array([[1.0, 2.0], [4.0, 6.0], [30.0, 31.0]])
    clips = speech_clips(sound, 31 * RATE_HZ)
    assert clips == pytest.approx(np.array([[0.8, 6.2], [29.8, 31.0]]))


@pytest.mark.parametrize("samples", [16_000, 16_001, 16_159, 16_160, 159])
def test_clips_never_pass_the_end(samples: int) -> None:
    """One frame past it and upstream's loop never ends (openai/whisper#2005)."""
    clips = speech_clips(np.array([[0.0, samples / RATE_HZ]]), samples)
    assert all(round(end * 100) <= samples // 160 for _, end in clips)
