"""Where the Hugging Face hub is and where its files are kept here, found as huggingface_hub does.

The library reads the same variables (huggingface_hub/constants.py), but when it is imported, which
takes 0.3 s: a model that is here is found without it.
"""

import os
from pathlib import Path
from typing import Final

_TRUE: Final = ("1", "ON", "YES", "TRUE")


def endpoint() -> str:
    """The hub's address, HF_ENDPOINT or the public one."""
    return (os.environ.get("HF_ENDPOINT") or "https://huggingface.co").rstrip("/")


def hub_folder() -> Path:
    """Where huggingface_hub keeps repositories, found as it does (huggingface_hub/constants.py)."""
    environ = os.environ
    default_home = os.path.join(environ.get("XDG_CACHE_HOME", "~/.cache"), "huggingface")
    home = environ.get("HF_HOME", default_home)
    folder = environ.get("HF_HUB_CACHE") or environ.get("HUGGINGFACE_HUB_CACHE")
    return Path(os.path.expandvars(os.path.expanduser(folder or os.path.join(home, "hub"))))


def storage(repo_id: str) -> Path:
    """The folder of a repository."""
    return hub_folder() / f"models--{repo_id.replace('/', '--')}"


def is_offline() -> bool:
    """Whether the hub must not be asked."""
    value = os.environ.get("HF_HUB_OFFLINE") or os.environ.get("TRANSFORMERS_OFFLINE") or ""
    return value.upper() in _TRUE
