"""Real weights on real people's speech: all forms alike, as near to openai-whisper as stated."""

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import whisper

from benchmarks.contestant import Segment
from benchmarks.real_scores import language_errors
from longscribe.audio.recording import decode, probe
from longscribe.decoding.chunk import with_own_suppression
from longscribe.decoding.logits_processors import LogitsProcessors
from longscribe.models.weights import resolve_model
from longscribe.options import DecodingOptions
from tests.longscribe.models.real_weights import (
    Excerpt,
    checkpoint,
    excerpt,
    needs_base,
    needs_tiny_en,
    text_of,
    transcribed,
)
from tests.longscribe.models.writers import write_ctranslate2, write_ggml, write_hugging_face

# Words in a hundred that differ from openai-whisper's own transcript, beyond which something broke,
# and word errors that may come on top of its own.
MOST_DIFFERENT, MOST_WORSE = {"lj001_a": 5.0, "libri_other_a": 18.0, "pt_fleurs": 16.0}, 3.0


@pytest.fixture(scope="module")
def base() -> dict[str, Any]:
    return checkpoint("base")


@pytest.fixture(scope="module")
def base_pt(base: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("openai") / "base.pt"
    torch.save(base, path)
    return path


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Excerpt:
    return excerpt("lj001_a", tmp_path_factory.mktemp("reader"), longest_s=45.0)


@pytest.fixture(scope="module")
def understood(reader: Excerpt) -> str:
    return text_of(transcribed(reader, "base"))


@needs_base
@pytest.mark.parametrize(
    "name",
    ["libri_other_a", "pt_fleurs", pytest.param("lj001_a", marks=pytest.mark.service)],
)
def test_words_are_as_openai_whisper_s(tmp_path: Path, base_pt: Path, name: str) -> None:
    heard = excerpt(name, tmp_path, longest_s=90.0)
    upstream = whisper.load_model(str(base_pt), device="cpu")
    samples = np.concatenate(list(decode(probe(heard.path))))  # whisper needs ffmpeg for a path
    theirs = upstream.transcribe(samples, language=heard.language, fp16=False)["text"]
    ours = text_of(transcribed(heard, "base"))
    different = heard.word_error_rate(ours, theirs)
    worse = heard.word_error_rate(ours) - heard.word_error_rate(theirs)
    print(f"{name}: {different:.1f} % different, {worse:+.1f} points")
    assert different <= MOST_DIFFERENT[name]
    assert worse <= MOST_WORSE


@needs_base
def test_all_forms_of_the_same_float16_weights_give_the_same_tokens(
    tmp_path: Path, base: dict[str, Any], base_pt: Path, reader: Excerpt
) -> None:
    models = {
        "openai": base_pt,
        "safetensors": write_hugging_face(base, tmp_path / "safetensors"),
        "shards": write_hugging_face(base, tmp_path / "shards", shards=2),
        "bin": write_hugging_face(base, tmp_path / "bin", pickled=True),
        "ggml": write_ggml(base, tmp_path / "ggml-base.bin"),
        "package": "base",
    }
    tokens = {
        form: [segment.tokens for segment in transcribed(reader, model).segments]
        for form, model in models.items()
    }
    assert sum(map(len, tokens["package"])) > 80
    for one, other in itertools.pairwise(models):
        assert tokens[one] == tokens[other], (one, other)


@needs_base
@pytest.mark.parametrize("kind", ["ctranslate2 int8", "Q8_0", "Q5_0", "Q5_1"])
def test_quantized_weights_understand_as_well(
    tmp_path: Path, base: dict[str, Any], reader: Excerpt, understood: str, kind: str
) -> None:
    if kind == "ctranslate2 int8":
        model = write_ctranslate2(base, tmp_path / "int8", "int8")
    else:
        model = write_ggml(base, tmp_path / "base.bin", kind)
    assert reader.word_error_rate(text_of(transcribed(reader, model)), understood) <= 5.0


@needs_base
def test_the_package_s_suppressed_tokens_are_upstream_s() -> None:
    spec = resolve_model("base")
    options = DecodingOptions()
    tokenizer = whisper.tokenizer.get_tokenizer(True, num_languages=99, language="en")
    own = LogitsProcessors.of(tokenizer, with_own_suppression(spec, options))
    upstream = LogitsProcessors.of(tokenizer, options)
    assert (own.suppressed == upstream.suppressed).all()


@needs_tiny_en
@pytest.mark.parametrize("way", ["batched", "sequential"])
def test_tiny_en_understands(reader: Excerpt, way: str) -> None:
    heard = transcribed(reader, "tiny.en", decoding=way)
    assert reader.word_error_rate(text_of(heard)) <= 12.0


@needs_base
@pytest.mark.parametrize("speed", [1.0, 1.2])
def test_every_utterance_is_heard_in_its_own_language(tmp_path: Path, speed: float) -> None:
    """English, Portuguese, Spanish, French and German, one after the other."""
    heard = excerpt("alternating_languages", tmp_path, longest_s=80.0)
    assert len({utterance.language for utterance in heard.utterances}) == 5
    transcript = transcribed(heard, "base", language="auto", speed=speed)
    segments = [Segment(s.start, s.end, s.text, s.language) for s in transcript.segments]
    assert language_errors(heard.utterances, segments) == 0.0
    assert heard.word_error_rate(text_of(transcript)) <= 35.0
