"""The names of models that can be fetched, and where official weights come from and are kept."""

import os
from pathlib import Path
from typing import Final, NamedTuple

MIRROR_VARIABLE: Final = "LONGSCRIBE_WEIGHTS_MIRROR"
_OFFICIAL_SOURCE: Final = "https://openaipublic.azureedge.net/main/whisper/models"

# Name -> (sha256, file name): whisper/__init__.py's _MODELS, copied because importing it loads
# torch into the parent process; tests/longscribe/test_weights.py holds the copy against it.
_LARGE_V3 = ("e5b1a55b89c1367dacf97e3e19bfd829a01529dbfdeefa8caeb59b3f1b81dadb", "large-v3.pt")
_TURBO = ("aff26ae408abcba5fbf8813c21e62b0941638c5f6eebfb145be0c9839262a19a", "large-v3-turbo.pt")
OFFICIAL: Final[dict[str, tuple[str, str]]] = {
    "tiny.en": ("d3dd57d32accea0b295c96e26691aa14d8822fac7d9d27d5dc00b4ca2826dd03", "tiny.en.pt"),
    "tiny": ("65147644a518d12f04e32d6f3b26facc3f8dd46e5390956a9424a650c0ce22b9", "tiny.pt"),
    "base.en": ("25a8566e1d0c1e2231d1c762132cd20e0f96a85d16145c3a00adf5d1ac670ead", "base.en.pt"),
    "base": ("ed3a0b6b1c0edf879ad9b11b1af5a0e6ab5db9205f891f668f8b0e6c6326e34e", "base.pt"),
    "small.en": ("f953ad0fd29cacd07d5a9eda5624af0f6bcf2258be67c92b79389873d91e0872", "small.en.pt"),
    "small": ("9ecf779972d90ba49c06d968637d720dd632c55bbf19d441fb42bf17a411e794", "small.pt"),
    "medium.en": (
        "d7440d1dc186f76616474e0ff0b3b6b879abc9d1a4926b7adfa41db2d497ab4f",
        "medium.en.pt",
    ),
    "medium": ("345ae4da62f9b3d59415adc60127b97c714f32e89e936602e85993674d08dcb1", "medium.pt"),
    "large-v1": ("e4b87e7e0bf463eb8e6956e646f1e277e901512310def2c24bf0e11bd3c28e9a", "large-v1.pt"),
    "large-v2": ("81f7c96c852ee8fc832187b0132e569d6c3065a3252ed18e56effd0b6a73e524", "large-v2.pt"),
    "large-v3": _LARGE_V3,
    "large": _LARGE_V3,
    "large-v3-turbo": _TURBO,
    "turbo": _TURBO,
}

# distil-whisper's own names, and where they are on the Hugging Face hub.
DISTILLED: Final[dict[str, str]] = {
    name: f"distil-whisper/{name}"
    for name in (
        *("distil-small.en", "distil-medium.en"),
        *("distil-large-v2", "distil-large-v3", "distil-large-v3.5"),
    )
}


def weights_folder(model_dir: str = "") -> Path:
    """Where official weights are kept: `model_dir`, or openai-whisper's cache folder."""
    if model_dir:
        return Path(model_dir).expanduser()
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(cache) / "whisper"


class OfficialFile(NamedTuple):
    """The file of an official model: where it is fetched, what is in it, where it is kept."""

    url: str
    sha256: str
    target: Path


def official_file(name: str, model_dir: str = "") -> OfficialFile:
    """The file of a name of `OFFICIAL`."""
    sha256, file_name = OFFICIAL[name]
    source = os.environ.get(MIRROR_VARIABLE, _OFFICIAL_SOURCE).rstrip("/")
    return OfficialFile(
        f"{source}/{sha256}/{file_name}", sha256, weights_folder(model_dir) / file_name
    )
