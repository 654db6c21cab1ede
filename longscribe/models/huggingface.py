"""Hugging Face folders: `config.json` beside `model.safetensors` or `pytorch_model.bin`, or shards.

Names are those of transformers' models/whisper/modeling_whisper.py.
"""

import json
import re
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from longscribe.errors import ModelError
from longscribe.models import added_tokens
from longscribe.models.added_tokens import AddedToken
from longscribe.models.checkpoint import ModelDims, read_shapes
from longscribe.models.description import Description, heads_of, standard_vocabulary, unusable
from longscribe.models.shapes import Shape, contradiction
from longscribe.wording.catalog import translated

if TYPE_CHECKING:
    from torch import Tensor

# In the order of preference; the last two name shards.
WEIGHT_FILES = (
    *("model.safetensors", "model.safetensors.index.json"),
    *("pytorch_model.bin", "pytorch_model.bin.index.json"),
)
_INDEX = ".index.json"
_LFS_POINTER = b"version https://git-lfs"

_DIMS = {
    "n_mels": "num_mel_bins",
    "n_audio_ctx": "max_source_positions",
    "n_audio_state": "d_model",
    "n_audio_head": "encoder_attention_heads",
    "n_audio_layer": "encoder_layers",
    "n_vocab": "vocab_size",
    "n_text_ctx": "max_target_positions",
    "n_text_state": "d_model",
    "n_text_head": "decoder_attention_heads",
    "n_text_layer": "decoder_layers",
}
_RENAMED = (
    (r"^model\.", ""),
    (r"\.layers\.(\d+)\.", r".blocks.\1."),
    (r"\.self_attn_layer_norm\.", ".attn_ln."),
    (r"\.encoder_attn_layer_norm\.", ".cross_attn_ln."),
    (r"\.final_layer_norm\.", ".mlp_ln."),
    (r"\.self_attn\.", ".attn."),
    (r"\.encoder_attn\.", ".cross_attn."),
    (r"\.q_proj\.", ".query."),
    (r"\.k_proj\.", ".key."),
    (r"\.v_proj\.", ".value."),
    (r"\.out_proj\.", ".out."),
    (r"\.fc1\.", ".mlp.0."),
    (r"\.fc2\.", ".mlp.2."),
    (r"^encoder\.layer_norm\.", "encoder.ln_post."),
    (r"^decoder\.layer_norm\.", "decoder.ln."),
    (r"^(encoder|decoder)\.embed_positions\.weight$", r"\1.positional_embedding"),
    (r"^decoder\.embed_tokens\.", "decoder.token_embedding."),
)


def describe(folder: Path) -> Description:
    """What a folder says of itself.

    Raises:
        ModelError: it is damaged, incomplete, or of another architecture.
    """
    config = _json(folder / "config.json")
    kind = config.get("model_type")
    if kind != "whisper":
        names = config.get("architectures") or [kind or translated("nothing that is known")]
        raise unusable(
            folder / "config.json",
            translated("it describes {kind}, not Whisper").format(kind=names[0]),
            translated("give a Whisper model"),
        )
    generation = _json(folder / "generation_config.json", missing={})
    files = weight_files(folder)
    try:
        values = {name: int(config[key]) for name, key in _DIMS.items()}
    except (KeyError, TypeError, ValueError) as error:
        raise unusable(
            folder / "config.json", translated("it does not say {what}").format(what=error)
        ) from None
    languages = generation.get("lang_to_id")
    if languages is None and generation.get("is_multilingual") is False:
        languages = {}
    tokens = values["n_vocab"]
    values["n_vocab"] = standard_vocabulary(tokens, None if languages is None else len(languages))
    dims = ModelDims(**values)
    shapes = _shapes(files)
    if shapes is not None:
        embedding = shapes.get("decoder.token_embedding.weight", (0, 0))
        if embedding[0] == tokens:
            shapes["decoder.token_embedding.weight"] = (dims.n_vocab, *embedding[1:])
        wrong = contradiction(dims, shapes)
        if wrong:
            raise unusable(
                files[0], wrong, translated("config.json and the weights must be of one model")
            )
    suppressed = generation.get("suppress_tokens", config.get("suppress_tokens", ...))
    added = added_tokens.of_hugging_face(folder, dims.n_vocab, tokens)
    told = [folder / name for name in ("config.json", "generation_config.json")]
    return Description(
        "huggingface",
        dims,
        (*files, *(path for path in told if path.is_file()), *([added.file] if added.file else ())),
        heads_of(generation.get("alignment_heads")),
        None if suppressed is ... else tuple(i for i in suppressed or () if 0 <= i < tokens),
        added.tokens,
    )


def weight_files(folder: Path) -> tuple[Path, ...]:
    """The files that hold a folder's weights, all of them there.

    Raises:
        ModelError: there are none, or a shard is missing.
    """
    name = next((name for name in WEIGHT_FILES if (folder / name).is_file()), None)
    if name is None:
        adapter = (folder / "adapter_config.json").is_file()
        raise unusable(
            folder,
            translated("it holds an adapter (LoRA) without its model")
            if adapter
            else translated("it holds no weights"),
            translated("merge it into its model first")
            if adapter
            else translated("model.safetensors or pytorch_model.bin must be beside config.json"),
        )
    if not name.endswith(_INDEX):
        files: tuple[Path, ...] = (folder / name,)
    else:
        places = _json(folder / name).get("weight_map")
        if not isinstance(places, dict) or not places:
            raise unusable(folder / name, translated("it names no files"))
        files = tuple(folder / Path(str(file)).name for file in sorted(set(places.values())))
    for file in files:
        if not file.is_file():
            raise unusable(
                file,
                translated("it is missing, though {name} names it").format(name=name),
                translated("download it again"),
            )
        with file.open("rb") as content:
            if content.read(len(_LFS_POINTER)) == _LFS_POINTER:
                raise unusable(
                    file,
                    translated("it is a Git LFS pointer, not the file"),
                    translated("run `git lfs pull`"),
                )
    return files


def read(
    files: tuple[Path, ...], dims: ModelDims, added: Sequence[AddedToken] = ()
) -> "dict[str, Tensor]":
    """The weights by openai-whisper's names.

    Raises:
        OSError, RuntimeError: a file cannot be read.
    """
    state: dict[str, Tensor] = {}
    for file in files:
        state.update((openai_name(name), tensor) for name, tensor in _load(file).items())
    state.pop("proj_out.weight", None)  # the token embedding once more
    embedding = state["decoder.token_embedding.weight"]
    state["decoder.token_embedding.weight"] = added_tokens.arranged(embedding, dims, added)
    return state


def openai_name(name: str) -> str:
    """What openai-whisper calls a weight of transformers' Whisper."""
    for pattern, replacement in _RENAMED:
        name = re.sub(pattern, replacement, name)
    return name


def _load(file: Path) -> "dict[str, Tensor]":
    import torch

    if file.suffix == ".safetensors":
        from safetensors.torch import load_file

        return load_file(file)
    is_zip = zipfile.is_zipfile(file)  # what torch before 1.6 wrote is none
    content: dict[str, Tensor] = torch.load(file, mmap=is_zip, weights_only=True)
    return content


def _shapes(files: tuple[Path, ...]) -> dict[str, Shape] | None:
    """Shapes by openai-whisper's names; None where only torch could tell them."""
    shapes: dict[str, Shape] = {}
    for file in files:
        if file.suffix == ".safetensors":
            shapes.update(_safetensors_shapes(file))
        elif zipfile.is_zipfile(file):
            shapes.update(_pickled_shapes(file))
        else:  # what torch before 1.6 wrote, or nothing of torch's
            _check_pickle(file)
            return None
    return shapes


def _safetensors_shapes(file: Path) -> dict[str, Shape]:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(file, framework="np") as content:
            return {
                openai_name(name): tuple(content.get_slice(name).get_shape())
                for name in content.keys()  # noqa: SIM118  # it is no dictionary
            }
    except (SafetensorError, OSError):
        raise _damaged(file) from None


def _pickled_shapes(file: Path) -> dict[str, Shape]:
    try:
        return {openai_name(name): shape for name, shape in read_shapes(file).items()}
    except ValueError:
        raise _damaged(file) from None


def _check_pickle(file: Path) -> None:
    with file.open("rb") as content:
        start = content.read(2)
    if start not in (b"\x80\x02", b"\x80\x04"):
        raise _damaged(file)


def _damaged(file: Path) -> ModelError:
    return unusable(file, translated("it is cut short or damaged"), translated("download it again"))


def _json(path: Path, missing: dict[str, Any] | None = None) -> dict[str, Any]:
    if not path.is_file() and missing is not None:
        return missing
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, OSError):
        content = None
    if not isinstance(content, dict):
        raise unusable(path, translated("it is no JSON"), translated("download it again"))
    return content
