from pathlib import Path
from typing import Any

import jiwer
import pytest
import torch
import whisper
from whisper.model import ModelDimensions, Whisper

from benchmarks.sizes import SIZES, Size
from benchmarks.widen import DEMO_CHECKPOINT, WIDENABLE, widen
from tests.recordings import beginning

# Twice as wide, and deeper in both halves.
DEEPER = Size(256, 4, 6, 5, 80, 51865)


@pytest.fixture(scope="module")
def demo() -> dict[str, Any]:
    return torch.load(DEMO_CHECKPOINT, map_location="cpu", weights_only=True)


@pytest.fixture(scope="module")
def inputs() -> tuple[torch.Tensor, torch.Tensor]:
    random = torch.Generator().manual_seed(7)
    mel = 0.5 * torch.randn(1, 80, 3000, generator=random)
    return mel, torch.randint(0, 51865, (1, 16), generator=random)


def model_of(checkpoint: dict[str, Any]) -> Whisper:
    model = Whisper(ModelDimensions(**checkpoint["dims"]))
    model.load_state_dict(checkpoint["model_state_dict"])  # refuses other names and shapes
    return model.eval()


# A third of a float16 weight is rounded, a half is not.
@pytest.mark.parametrize(("size", "most_off"), [(SIZES["tiny"], 0.02), (DEEPER, 1e-3)])
def test_logits_stay(
    demo: dict[str, Any], inputs: tuple[torch.Tensor, torch.Tensor], size: Size, most_off: float
) -> None:
    with torch.inference_mode():
        expected = model_of(demo)(*inputs)
        found = model_of(widen(demo, size))(*inputs)
    assert expected.std() > 1
    assert (found - expected).abs().max() < most_off
    assert torch.equal(found.argmax(-1), expected.argmax(-1))


def test_added_layers_do_full_work(demo: dict[str, Any]) -> None:
    state = widen(demo, DEEPER)["model_state_dict"]
    for block in ("encoder.blocks.5", "decoder.blocks.4"):
        added = {name: t for name, t in state.items() if name.startswith(block)}
        zero = {name.removeprefix(block) for name, t in added.items() if not t.any()}
        last = {name.removeprefix(block) for name in added if ".out." in name or ".2." in name}
        assert zero == last
        for name, tensor in added.items():
            first = name.replace(block, f"{block.split('.')[0]}.blocks.0")
            assert tensor.shape == state[first].shape
            if tensor.ndim == 2 and name.removeprefix(block) not in last:
                assert tensor.count_nonzero() > 0.9 * tensor.numel()


def test_every_offered_size_fits_the_demo(demo: dict[str, Any]) -> None:
    dims = demo["dims"]
    for name in WIDENABLE:
        assert SIZES[name].width % dims["n_audio_state"] == 0
        assert SIZES[name].vocabulary == dims["n_vocab"]


@pytest.mark.parametrize(
    ("size", "said"),
    [
        (Size(200, 4, 4, 4, 80, 51865), "no multiple"),
    ],
)
def test_what_cannot_be_is_refused(demo: dict[str, Any], size: Size, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        widen(demo, size)


def test_128_mels_and_cantonese_hear_the_same(demo: dict[str, Any]) -> None:
    """The interpolated weights understand the demo's own sentences as well as its own."""
    wide = model_of(widen(demo, Size(128, 2, 4, 3, 128, 51866)))
    samples = beginning(duration_s=24.0)
    texts = []
    for model in (model_of(demo), wide):
        heard = model.transcribe(samples, language="en", fp16=False, temperature=0.0)
        texts.append(heard["text"])
    assert len(texts[0].split()) > 10
    assert jiwer.wer(*texts) < 0.2


def test_fewer_layers_are_the_first_and_the_last(demo: dict[str, Any]) -> None:
    found = widen(demo, Size(128, 2, 4, 2, 80, 51865))
    state, name = found["model_state_dict"], "decoder.blocks.1.mlp.0.weight"
    assert torch.equal(state[name], demo["model_state_dict"]["decoder.blocks.2.mlp.0.weight"])
    model_of(found)


def test_whisper_loads_it(demo: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / "wide.pt"
    torch.save(widen(demo, DEEPER), path)
    assert whisper.load_model(str(path), device="cpu").dims.n_text_layer == 5
