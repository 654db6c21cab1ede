"""Which form a model on this machine has, what it says of itself, and its weights."""

from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from longscribe.models import ctranslate2, ggml, huggingface
from longscribe.models.added_tokens import AddedToken
from longscribe.models.checkpoint import ModelDims, read_checkpoint
from longscribe.models.description import Description, Form, unusable
from longscribe.models.shapes import contradiction
from longscribe.wording.catalog import translated

if TYPE_CHECKING:
    from torch import Tensor


class StoredModel(Protocol):
    """What `read` needs of a model."""

    @property
    def form(self) -> Form:
        """How it is stored."""

    @property
    def path(self) -> Path:
        """Its file or folder."""

    @property
    def dims(self) -> ModelDims:
        """Of its network."""

    @property
    def added_tokens(self) -> tuple[AddedToken, ...]:
        """That stand for text, behind Whisper's own."""


def describe(path: Path) -> Description:
    """What a file or folder says of itself, read without torch.

    Raises:
        ModelError: it is no Whisper model, or a damaged one.
    """
    if path.is_dir():
        return _describe_folder(path)
    with path.open("rb") as file:
        magic = file.read(4)
    if magic == ggml.MAGIC:
        return ggml.describe(path)
    if magic == b"GGUF":
        raise unusable(
            path,
            translated("it is a GGUF file, in which whisper.cpp has no models"),
            translated("give a ggml .bin file"),
        )
    if path.suffix == ".safetensors" or path.name in ("model.bin", "pytorch_model.bin"):
        raise unusable(
            path,
            translated("it is one file of a model's folder"),
            translated("give {folder!r}").format(folder=str(path.parent)),
        )
    dims, shapes = read_checkpoint(path)
    if wrong := contradiction(dims, shapes):
        raise unusable(path, wrong)
    return Description("openai", dims, (path,))


def read(model: StoredModel) -> "dict[str, Tensor]":
    """A model's weights by openai-whisper's names, quantized ones as float32.

    Rows of added tokens lie where the engine has them; see `added_tokens`.

    Raises:
        ModelError: it is damaged.
        OSError, RuntimeError, KeyError: it cannot be read.
    """
    if model.form == "ctranslate2":
        return ctranslate2.read(model.path, model.dims, model.added_tokens)
    if model.form == "huggingface":
        files = huggingface.weight_files(model.path)
        return huggingface.read(files, model.dims, model.added_tokens)
    if model.form == "ggml":
        return ggml.read(model.path)
    import torch

    checkpoint = torch.load(model.path, mmap=True, weights_only=True, map_location="cpu")
    weights: dict[str, Tensor] = checkpoint["model_state_dict"]
    return weights


def _describe_folder(path: Path) -> Description:
    if ctranslate2.is_folder(path):
        return ctranslate2.describe(path)
    if (path / "config.json").is_file():
        return huggingface.describe(path)
    if (path / "adapter_config.json").is_file():
        huggingface.weight_files(path)
    raise unusable(
        path,
        translated("it is a folder without a model"),
        translated(
            "it must hold config.json with model.safetensors, or model.bin with vocabulary.json"
        ),
    )
