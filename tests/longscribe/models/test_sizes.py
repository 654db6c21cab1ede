"""The shapes of turbo, large-v3 and its distillates from every form; `make test-forms`."""

import gc
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

import longscribe
from benchmarks.sizes import SIZES
from benchmarks.widen import DEMO_CHECKPOINT, widen
from longscribe.decoding import chunk as decoding
from tests.longscribe.models.real_weights import text_of
from tests.longscribe.models.writers import (
    Checkpoint,
    write_ctranslate2,
    write_ggml,
    write_hugging_face,
)
from tests.recordings import beginning
from tests.sounds import write_sound

pytestmark = [pytest.mark.forms, pytest.mark.timeout(3600)]


def write_openai(checkpoint: Checkpoint, path: Path) -> Path:
    torch.save(checkpoint, path)
    return path


FORMS: dict[str, Callable[[Checkpoint, Path], Path]] = {
    "openai": write_openai,
    "shards": lambda c, p: write_hugging_face(c, p, shards=2),
    "ctranslate2": write_ctranslate2,
    "ggml": write_ggml,
}
WAYS = (
    {"precision": "int8"},
    {"precision": "float32"},
    {"decoding": "sequential"},
)


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_sound(tmp_path_factory.mktemp("sound") / "a.wav", beginning(duration_s=9.0))


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Converted weights of its own: those of large-v3 are 8 GB."""
    monkeypatch.setenv("LONGSCRIBE_CACHE", str(tmp_path / "cache"))


@pytest.mark.usefixtures("cache")
@pytest.mark.parametrize("size", ["distil-large-v3", "turbo", "large-v3"])
def test_a_size_runs_from_every_form(tmp_path: Path, sound: Path, size: str) -> None:
    checkpoint = widen(torch.load(DEMO_CHECKPOINT, weights_only=True), SIZES[size])
    texts = {}
    for form, write in FORMS.items():
        model = write(checkpoint, tmp_path / form)
        # Every way once; the text of int8 for all of them.
        for way in WAYS if form == "shards" else WAYS[:1]:
            said = longscribe.transcribe(sound, model=str(model), language="en", speed=1.0, **way)
            texts[form, *way.values()] = text_of(said)
            decoding.load.cache_clear()
            gc.collect()
    print(size, texts)
    of_int8 = {text for (_, way), text in texts.items() if way == "int8"}
    assert len(of_int8) == 1
    if size != "distil-large-v3":  # with a layer less the demo model understands nothing
        assert all(len(text.split()) > 5 for text in texts.values())
