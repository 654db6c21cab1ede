"""The same weights in every form are read alike, and refused in a sentence where not whole."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import gguf
import numpy as np
import pytest
import torch

from longscribe.errors import ModelError
from longscribe.models import forms
from longscribe.models.weights import DEMO_CHECKPOINT, ModelSpec, resolve_model
from tests.longscribe.models.writers import (
    Checkpoint,
    hugging_face_config,
    write_ctranslate2,
    write_ggml,
    write_hugging_face,
)


@pytest.fixture(scope="module")
def checkpoint() -> Checkpoint:
    content: Checkpoint = torch.load(DEMO_CHECKPOINT, weights_only=True)
    return content


def sharded(c: Checkpoint, p: Path) -> Path:
    return write_hugging_face(c, p, shards=3)


FLOAT16: dict[str, Callable[[Checkpoint, Path], Path]] = {
    "safetensors": write_hugging_face,
    "shards": sharded,
    "bin": lambda c, p: write_hugging_face(c, p, pickled=True),
    "bin shards": lambda c, p: write_hugging_face(c, p, pickled=True, shards=2),
    "float32": lambda c, p: write_hugging_face(c, p, dtype=torch.float32),
    "ctranslate2": write_ctranslate2,
    "ctranslate2 float32": lambda c, p: write_ctranslate2(c, p, "float32"),
    "ggml": write_ggml,
}


@pytest.mark.parametrize("form", FLOAT16)
def test_float16_weights_are_the_same_in_every_form(
    checkpoint: Checkpoint, tmp_path: Path, form: str
) -> None:
    spec = resolve_model(str(FLOAT16[form](checkpoint, tmp_path / "model")))
    assert spec.dims.model_dump() == checkpoint["dims"]
    found = forms.read(spec)
    assert found.keys() == checkpoint["model_state_dict"].keys()
    for name, tensor in checkpoint["model_state_dict"].items():
        assert torch.equal(found[name].float(), tensor.float()), name


@pytest.mark.parametrize(
    ("write", "most"),
    [
        (lambda c, p: write_ctranslate2(c, p, "int8"), 0.03),
        (lambda c, p: write_ctranslate2(c, p, "bfloat16"), 0.01),
        (lambda c, p: write_hugging_face(c, p, dtype=torch.bfloat16), 0.01),
        (lambda c, p: write_ggml(c, p, "Q8_0"), 0.03),
        (lambda c, p: write_ggml(c, p, "Q5_0"), 0.1),
        (lambda c, p: write_ggml(c, p, "Q5_1"), 0.1),
        (lambda c, p: write_ggml(c, p, "Q4_0"), 0.18),
        (lambda c, p: write_ggml(c, p, "Q4_1"), 0.18),
    ],
)
def test_quantized_weights_are_near(
    checkpoint: Checkpoint, tmp_path: Path, write: Callable[[Checkpoint, Path], Path], most: float
) -> None:
    spec = resolve_model(str(write(checkpoint, tmp_path / "model")))
    found = forms.read(spec)
    for name, tensor in checkpoint["model_state_dict"].items():
        wanted = tensor.float()
        assert (found[name].float() - wanted).norm() <= most * wanted.norm(), name


@pytest.mark.parametrize("kind", ["Q4_K", "Q5_K", "Q6_K", "Q3_K", "Q2_K"])
def test_k_quants_are_read_as_gguf_reads_them(
    checkpoint: Checkpoint, tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Rows of k-quants are multiples of 256: those of the mlp's second matrix are.
    quantization = gguf.GGMLQuantizationType[kind]
    block, block_bytes = gguf.GGML_QUANT_SIZES[quantization]
    random = np.random.default_rng(1)
    rows = random.integers(0, 50, (128, 512 // block * block_bytes), np.uint8)

    path = write_ggml(checkpoint, tmp_path / "f16.bin")
    content = path.read_bytes()
    name = b"encoder.blocks.0.mlp.2.weight"
    place = content.index(name)
    header = place - 20
    changed = content[: header + 8] + int(quantization).to_bytes(4, "little")
    changed += content[header + 12 : place + len(name)] + rows.tobytes()
    changed += content[place + len(name) + 2 * 128 * 512 :]
    path.write_bytes(changed)
    spec = resolve_model(str(path))
    wanted = gguf.quants.dequantize(rows, quantization)
    np.testing.assert_array_equal(forms.read(spec)[name.decode()].numpy(), wanted)


def test_what_generation_config_says_is_known(checkpoint: Checkpoint, tmp_path: Path) -> None:
    generation = {"alignment_heads": [[1, 0], [1, 1]], "suppress_tokens": [1, 2, 50257]}
    spec = resolve_model(str(write_hugging_face(checkpoint, tmp_path / "m", generation=generation)))
    assert spec.alignment_heads == ((1, 0), (1, 1))
    assert spec.suppress_tokens == (1, 2, 50257)


def test_a_ctranslate2_config_is_known(checkpoint: Checkpoint, tmp_path: Path) -> None:
    config = {"alignment_heads": [[1, 1]], "suppress_ids": [], "lang_ids": list(range(99))}
    spec = resolve_model(str(write_ctranslate2(checkpoint, tmp_path / "m", config=config)))
    assert (spec.alignment_heads, spec.suppress_tokens) == (((1, 1),), ())


def test_tokens_behind_whispers_own_are_left_out(checkpoint: Checkpoint, tmp_path: Path) -> None:
    state = dict(checkpoint["model_state_dict"])
    embedding = state["decoder.token_embedding.weight"]
    state["decoder.token_embedding.weight"] = torch.cat([embedding, embedding[:7]])
    dims = {**checkpoint["dims"], "n_vocab": len(embedding) + 7}
    generation = {"lang_to_id": {f"<|{i}|>": i for i in range(99)}}
    wide = {"dims": dims, "model_state_dict": state}
    spec = resolve_model(str(write_hugging_face(wide, tmp_path / "m", generation=generation)))
    assert spec.dims.n_vocab == 51865
    assert torch.equal(forms.read(spec)["decoder.token_embedding.weight"], embedding)


def folder_of_another_architecture(c: Checkpoint, path: Path) -> Path:
    write_hugging_face(c, path)
    (path / "config.json").write_text('{"model_type": "wav2vec2", "architectures": ["Wav2Vec2"]}')
    return path


def config_that_contradicts(c: Checkpoint, path: Path) -> Path:
    write_hugging_face(c, path)
    config = {**hugging_face_config(c["dims"]), "encoder_layers": 5}
    (path / "config.json").write_text(json.dumps(config))
    return path


def bin_that_contradicts(c: Checkpoint, path: Path) -> Path:
    write_hugging_face(c, path, pickled=True)
    config = {**hugging_face_config(c["dims"]), "encoder_layers": 5}
    (path / "config.json").write_text(json.dumps(config))
    return path


def checkpoint_that_contradicts(c: Checkpoint, path: Path) -> Path:
    torch.save({**c, "dims": {**c["dims"], "n_mels": 128}}, path.with_suffix(".pt"))
    return path.with_suffix(".pt")


def of_no_whisper(c: Checkpoint, path: Path) -> Path:
    content = {"dims": c["dims"], "model_state_dict": {"wav2vec2.weight": torch.zeros(3)}}
    torch.save(content, path.with_suffix(".pt"))
    return path.with_suffix(".pt")


def cut_safetensors(c: Checkpoint, path: Path) -> Path:
    file = write_hugging_face(c, path) / "model.safetensors"
    file.write_bytes(file.read_bytes()[:-1000])
    return path


def missing_shard(c: Checkpoint, path: Path) -> Path:
    (sharded(c, path) / "model-00002-of-00003.safetensors").unlink()
    return path


def pointer(c: Checkpoint, path: Path) -> Path:
    file = write_hugging_face(c, path) / "model.safetensors"
    file.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n")
    return path


def adapter(c: Checkpoint, path: Path) -> Path:
    path.mkdir()
    (path / "adapter_config.json").write_text("{}")
    return path


def empty(c: Checkpoint, path: Path) -> Path:
    path.mkdir()
    return path


def cut_ctranslate2(c: Checkpoint, path: Path) -> Path:
    file = write_ctranslate2(c, path) / "model.bin"
    file.write_bytes(file.read_bytes()[: 1 << 20])
    return path


def cut_ggml(c: Checkpoint, path: Path) -> Path:
    write_ggml(c, path)
    path.write_bytes(path.read_bytes()[: 1 << 20])
    return path


def strange_quantization(c: Checkpoint, path: Path) -> Path:
    write_ggml(c, path)
    content = path.read_bytes()
    place = content.index(b"decoder.token_embedding.weight") - 12
    path.write_bytes(content[:place] + b"\x63\0\0\0" + content[place + 4 :])
    return path


def gguf_file(c: Checkpoint, path: Path) -> Path:
    path.write_bytes(b"GGUF" + bytes(100))
    return path


@pytest.mark.parametrize(
    ("write", "says"),
    [
        (folder_of_another_architecture, "Wav2Vec2, not Whisper"),
        (lambda c, p: write_ctranslate2(c, p, spec="Wav2Vec2Spec"), "'Wav2Vec2Spec', not Whisper"),
        (bin_that_contradicts, r"encoder\.blocks\..* is missing"),
        (checkpoint_that_contradicts, r"conv1\.weight is of shape .*80.* where .*128.* announced"),
        (of_no_whisper, r"encoder\.conv1\.weight is missing"),
        (config_that_contradicts, r"encoder\.blocks\..* is missing"),
        (cut_safetensors, r"model\.safetensors.*cut short"),
        (missing_shard, r"model-00002-of-00003\.safetensors.*is missing"),
        (pointer, "Git LFS pointer"),
        (adapter, "adapter"),
        (empty, "folder without a model"),
        (cut_ctranslate2, r"model\.bin.*cut short"),
        (cut_ggml, "cut short"),
        (strange_quantization, r"quantization \(type 99\) is not read"),
        (gguf_file, "GGUF"),
    ],
)
def test_what_cannot_be_used_is_refused_in_a_sentence(
    checkpoint: Checkpoint, tmp_path: Path, write: Callable[[Checkpoint, Path], Path], says: str
) -> None:
    path = write(checkpoint, tmp_path / "model")
    with pytest.raises(ModelError, match=says) as raised:
        resolve_model(str(path))
    assert str(path) in str(raised.value)
    assert str(raised.value).count("\n") == 0


def test_a_ggml_file_in_the_model_folder_is_found_by_its_name(
    demo: ModelSpec, checkpoint: Checkpoint, tmp_path: Path
) -> None:
    write_ggml(checkpoint, tmp_path / "ggml-tiny.bin")
    assert resolve_model("tiny", str(tmp_path)).path == tmp_path / "ggml-tiny.bin"


def test_a_folder_s_digest_knows_all_its_files(checkpoint: Checkpoint, tmp_path: Path) -> None:
    folder = write_hugging_face(checkpoint, tmp_path / "m", generation={"suppress_tokens": []})
    shutil.copytree(folder, tmp_path / "n")
    first = resolve_model(str(folder)).sha256
    assert resolve_model(str(tmp_path / "n")).sha256 == first
    (folder / "generation_config.json").write_text('{"suppress_tokens": [1]}')
    assert resolve_model(str(folder)).sha256 != first
