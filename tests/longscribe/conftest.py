"""The demo model as upstream loads it and as we do, and what they listen to."""

import pytest
import torch
import whisper
from whisper.model import Whisper
from whisper.tokenizer import Tokenizer, get_tokenizer

from longscribe.decoding.windows import pack
from longscribe.engine.float_network import FloatNetwork
from longscribe.engine.int8_network import Int8Network
from longscribe.engine.network import Network
from longscribe.engine.packed_linear import has_int8_products
from longscribe.models.weights import ModelSpec, resolve_model
from tests.recordings import beginning, sound_in


@pytest.fixture(scope="session")
def demo() -> ModelSpec:
    return resolve_model("demo")


@pytest.fixture(scope="session")
def upstream(demo: ModelSpec) -> Whisper:
    """The model as openai-whisper loads it, in float32."""
    return whisper.load_model(str(demo.path), device="cpu").requires_grad_(False)


@pytest.fixture(scope="session")
def tokenizer() -> Tokenizer:
    return get_tokenizer(True, num_languages=99, language="en", task="transcribe")


@pytest.fixture(scope="session")
def float32(demo: ModelSpec) -> Network:
    return FloatNetwork(demo, "cpu", torch.float32)


@pytest.fixture(scope="session")
def int8(demo: ModelSpec) -> Network:
    if not has_int8_products():
        pytest.skip("no int8 products on this processor")
    return Int8Network(demo)


@pytest.fixture(scope="session")
def mels() -> list[torch.Tensor]:
    """Three windows of the sample, as a run would pack them."""
    part = beginning()
    return [
        whisper.log_mel_spectrogram(whisper.pad_or_trim(window.samples(part)))
        for window in pack(sound_in(part), part)[:3]
    ]
