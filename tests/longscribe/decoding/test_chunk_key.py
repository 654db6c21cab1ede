"""A key changes with all that changes a text, and with nothing else."""

from pathlib import Path
from typing import Any

import pytest

from longscribe.audio.chunks import Chunk
from longscribe.decoding import chunk_key as module
from longscribe.decoding.chunk_key import chunk_key, decoding_digest, expected_precision
from longscribe.models.weights import ModelSpec, resolve_model
from longscribe.options import DecodingOptions
from tests.chunks import chunk

CHUNK = chunk(
    3,
    count=7,
    start_sample=100,
    stop_sample=16_100,
    original_start_s=1.0,
    original_end_s=2.0,
    sound=((0.1, 0.9),),
)
OTHER_VALUES: dict[str, Any] = {
    "decoding": "sequential",
    "language": "pt",
    "task": "translate",
    "initial_prompt": "Hello.",
    "hotwords": ("Ana Lima",),
    "verbatim": True,
    "temperature": 0.2,
    "temperature_increment_on_fallback": None,
    "best_of": 3,
    "beam_size": 4,
    "length_penalty": 0.5,
    "suppress_tokens": "",
    "word_timestamps": True,
    "compression_ratio_threshold": 2.0,
    "logprob_threshold": -0.5,
    "no_speech_threshold": 0.5,
}


@pytest.fixture(scope="module")
def spec() -> ModelSpec:
    return resolve_model("demo")


def key(spec: ModelSpec, chunk: Chunk = CHUNK, precision: Any = "int8", **options: Any) -> str:
    return chunk_key(chunk, decoding_digest(spec, DecodingOptions(**options), precision))


def test_a_key_is_the_same_wherever_the_chunk_lies(spec: ModelSpec) -> None:
    moved = CHUNK.model_copy(
        update={
            "index": 0,
            "count": 1,
            "pcm_path": Path("elsewhere.pcm"),
            "start_sample": 5,
            "stop_sample": 16_005,
            "original_start_s": 7.0,
            "original_end_s": 8.0,
            "cut_in_pause": False,
        }
    )
    assert key(spec, moved) == key(spec)
    copied = spec.model_copy(update={"path": Path("copy.pt"), "name": "copy.pt"})
    assert key(copied) == key(spec)
    assert key(spec, device="cpu", precision="int8") == key(spec)


def test_samples_sound_weights_precision_code_and_processor_are_in_it(
    spec: ModelSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = {
        key(spec),
        key(spec, CHUNK.model_copy(update={"sha256": "cd" * 32})),
        key(spec, CHUNK.model_copy(update={"sound": ((0.1, 0.8),)})),
        key(spec.model_copy(update={"sha256": "ef" * 32})),
        key(spec.model_copy(update={"name": "tiny"})),  # has alignment heads of its own
        key(spec, precision="float32"),
    }
    for name, other in (
        ("sources_sha256", lambda paths: "other code"),
        ("versions_of", lambda *names: {"torch": "9.9"}),
        ("instruction_set", lambda: ("x86_64", "avx2")),
    ):
        with monkeypatch.context() as changed:
            changed.setattr(module, name, other)
            keys.add(key(spec))
    assert len(keys) == 9


@pytest.mark.parametrize("name", sorted(set(DecodingOptions.model_fields)))
def test_every_option_that_changes_text_is_in_it(spec: ModelSpec, name: str) -> None:
    if name in ("device", "precision"):
        return  # what they come to is `precision`
    if name == "patience":
        assert key(spec, beam_size=4, patience=2.0) != key(spec, beam_size=4)
    elif name == "condition_on_previous_text":
        loop = {"decoding": "sequential"}
        assert key(spec, **loop, condition_on_previous_text=True) != key(spec, **loop)
    else:
        assert key(spec, **{name: OTHER_VALUES[name]}) != key(spec)


@pytest.mark.parametrize("decoding", ["batched", "sequential"])
@pytest.mark.parametrize("precision", ["auto", "float32"])
def test_the_precision_is_told_as_the_decoder_chooses_it(decoding: Any, precision: Any) -> None:
    from longscribe.decoding.chunk import arithmetic

    options = DecodingOptions(decoding=decoding, precision=precision, device="cpu")
    assert expected_precision(options, gpus=0) == arithmetic(options).precision
    assert expected_precision(DecodingOptions(), gpus=1) == "float16"
