"""openai-whisper's own loop over our mapped weights: its own result."""

from dataclasses import asdict

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
        for name in ("language", "language_probability"):  # ours
            del found[name]
        for one in (found, *found["words"]):  # as are these, which are told later
            assert (one.pop("speaker"), one.pop("overlap")) == (None, None)
        assert found == their


def test_a_prompt_with_a_special_token_s_name_is_heard_as_text(demo: ModelSpec) -> None:
    part = beginning()[: 10 * RATE_HZ]
    options = DecodingOptions(decoding="sequential", initial_prompt="Notes <|endoftext|>")
    assert transcribe_sequentially(demo, "cpu", part, sound_in(part), options, 1).segments


def test_each_part_is_heard_in_its_language(demo: ModelSpec) -> None:
    english, portuguese = beginning(duration_s=30.0), beginning(SYNTHETIC_PT, 37.0)
    both = np.concatenate([english, np.zeros(2 * RATE_HZ, np.float32), portuguese])
    options = DecodingOptions(decoding="sequential")
    found = transcribe_sequentially(demo, "cpu", both, sound_in(both), options, 1)
    change_s = len(english) / RATE_HZ + 1.0
    assert {one.language for one in found.segments if one.end < change_s} == {"en"}
    assert {one.language for one in found.segments if one.start > change_s} == {"pt"}
    assert found.language == "pt"
    probabilities = [one.language_probability or 0.0 for one in found.segments]
    assert min(*probabilities, found.language_probability or 0.0) > 0.8


def test_only_the_languages_that_there_may_be_are_heard(demo: ModelSpec) -> None:
    part = beginning(SYNTHETIC_PT, 20.0)
    options = DecodingOptions(decoding="sequential", language="en,fr")
    found = transcribe_sequentially(demo, "cpu", part, sound_in(part), options, 1)
    assert {one.language for one in found.segments} <= {"en", "fr"}


def test_long_silences_are_left_out_and_short_ones_kept() -> None:
    sound = np.array([[1.0, 2.0], [4.0, 6.0], [30.0, 31.0]])
    clips = speech_clips(sound, 31 * RATE_HZ)
    assert clips == pytest.approx(np.array([[0.8, 6.2], [29.8, 31.0]]))


@pytest.mark.parametrize("samples", [16_000, 16_001, 16_159, 16_160, 159])
def test_clips_never_pass_the_end(samples: int) -> None:
    """One frame past it and upstream's loop never ends (openai/whisper#2005)."""
    clips = speech_clips(np.array([[0.0, samples / RATE_HZ]]), samples)
    assert all(round(end * 100) <= samples // 160 for _, end in clips)
