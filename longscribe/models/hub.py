"""Models of the Hugging Face hub: which files of a repository are needed, and how they come here.

The hub is spoken to through huggingface_hub, and what comes is kept in its own cache, where other
programs find it and it finds theirs. Only the bytes are fetched by hub_transfer.

huggingface_hub takes 0.3 s to import; nothing here imports it before the hub has to be asked.
"""

import json
import os
import re
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final, NamedTuple

from longscribe.errors import ModelError
from longscribe.models.hub_cache import endpoint, hub_folder, is_offline, storage
from longscribe.models.hub_errors import (
    hub_errors,
    no_hub_sentence,
    offline_sentence,
    other_folder,
)
from longscribe.models.hub_transfer import TIMEOUT_S, fetch_blob
from longscribe.models.transfer import OnProgress, size_bytes
from longscribe.wording.catalog import translatable, translated

# The first of these that a repository has is taken; an index stands for its shards too.
WEIGHTS: Final = (
    "model.safetensors",
    "model.safetensors.index.json",
    "pytorch_model.bin",
    "pytorch_model.bin.index.json",
    "model.bin",
)
_CONFIG: Final = "config.json"
_SMALL_FILES: Final = (
    _CONFIG,
    "generation_config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "added_tokens.json",
    "special_tokens_map.json",
    "vocab.json",
    "vocabulary.json",
    "vocabulary.txt",
    "preprocessor_config.json",
)
_READ: Final = translatable(
    "model.safetensors, pytorch_model.bin (both also in shards) and the model.bin of CTranslate2"
)
_WEIGHT_SUFFIXES: Final = (
    *(".safetensors", ".bin", ".msgpack", ".h5", ".onnx", ".gguf", ".ggml", ".pt", ".pth"),
    *(".ckpt", ".nemo", ".npz", ".tflite", ".mlmodelc", ".mlpackage"),
)
_SHOWN_FILES: Final = 4
_GOES_ON: Final = translatable("; what arrived is kept and the next try goes on from there")

_OWNER_OR_NAME = re.compile(r"\w([\w.-]{0,94}\w)?", re.ASCII)


class _Repo(NamedTuple):
    """What the hub says of a repository: the commit of `main`, and its files with their bytes."""

    id: str
    commit: str
    sizes: dict[str, int]

    @property
    def snapshot(self) -> Path:
        """Where the files of this commit are found by their names."""
        return storage(self.id) / "snapshots" / self.commit


def is_repo_id(name: str) -> bool:
    """Whether a model's name means a repository of the hub, and not a file or folder here."""
    if name.startswith((".", "/", "~")) or name.endswith(".git"):
        return False
    if "--" in name or ".." in name or name.count("/") != 1:
        return False
    return all(map(_OWNER_OR_NAME.fullmatch, name.split("/"))) and not os.path.exists(name)


def cached(repo_id: str) -> Path | None:
    """The repository's folder in the hub's cache, if its weights are all there; asks nobody."""
    folder = snapshot_here(repo_id)
    try:
        return folder if folder and _is_complete(folder) else None
    except (OSError, ValueError):
        return None


def snapshot_here(repo_id: str) -> Path | None:
    """The repository's folder in the hub's cache, whatever of it is there; asks nobody."""
    kept = storage(repo_id)
    try:
        folder = kept / "snapshots" / (kept / "refs" / "main").read_text("utf-8").strip()
        return folder if folder.parent != kept and folder.is_dir() else None
    except (OSError, ValueError):
        return None


def check_available(repo_id: str) -> None:
    """Ask the hub whether the model can be had; nothing is asked if it is here already.

    Raises:
        ModelError: no such repository, no access to it, no Whisper weights in it, or no answer.
    """
    if not cached(repo_id):
        with hub_errors(repo_id):
            _look_up(repo_id)


def download(repo_id: str, on_progress: OnProgress | None = None) -> Path:
    """Fetch what is needed of a repository, and nothing else, into the hub's own cache.

    A model that is here already is brought up to date, or taken as it is if the hub cannot be had.

    Args:
        repo_id: owner/name.
        on_progress: called as bytes arrive; not at all if everything is here.

    Returns:
        The folder with the files under their names.

    Raises:
        ModelError: as `check_available`, and when the transfer or the disk fails.
    """
    try:
        with hub_errors(repo_id):
            repo = _look_up(repo_id)
    except ModelError:
        if folder := cached(repo_id):
            return folder
        raise
    with hub_errors(repo_id, translated(_GOES_ON)):
        return _download(repo, on_progress)


def check_access(repo_id: str) -> None:
    """Ask the hub whether a repository of any kind may be fetched.

    Raises:
        ModelError: no such repository, no access to it, or no answer.
    """
    with hub_errors(repo_id):
        _described(repo_id, _asked(repo_id))


def download_files(repo_id: str, suffixes: tuple[str, ...]) -> Path:
    """Fetch some of a repository's files, of whatever kind it is, into the hub's own cache.

    Args:
        repo_id: owner/name.
        suffixes: of the files that are wanted.

    Returns:
        The folder with the files under their names.

    Raises:
        ModelError: as `check_access`, and when the transfer or the disk fails.
    """
    with hub_errors(repo_id, translated(_GOES_ON)):
        repo = _described(repo_id, _asked(repo_id))
        _bring(repo, [name for name in repo.sizes if name.endswith(suffixes)], None)
        _point_main_at(repo)
    return repo.snapshot


def _download(repo: _Repo, on_progress: OnProgress | None) -> Path:
    weights = _chosen_weights(repo.sizes)
    index = [weights] if weights.endswith(".index.json") else []
    # The weights come last: a snapshot that has them has everything.
    _bring(repo, [name for name in _SMALL_FILES if name in repo.sizes], None)
    _bring(repo, index, None)
    wanted = _shards_of(repo, weights) if index else [weights]
    needed_bytes = _missing_bytes(repo, wanted)
    if needed_bytes and _room_bytes(repo) < needed_bytes:
        raise ModelError(
            translated(
                "the model {repository} needs {needed:.1f} GB more in {folder}, where that much is "
                "not free; make room, or {remedy}"
            ).format(
                repository=repo.id,
                needed=needed_bytes / 1e9,
                folder=storage(repo.id),
                remedy=other_folder(),
            )
        )
    _bring(repo, wanted, on_progress)
    _point_main_at(repo)
    return repo.snapshot


def _chosen_weights(names: Iterable[str]) -> str:
    names = set(names)
    return next((name for name in WEIGHTS if name in names), "")


def _is_complete(folder: Path) -> bool:
    weights = next((name for name in WEIGHTS if (folder / name).is_file()), "")
    if not weights or not (folder / _CONFIG).is_file():
        return False
    if not weights.endswith(".index.json"):
        return True
    return all((folder / shard).is_file() for shard in _shards(folder / weights))


def _shards(index: Path) -> list[str]:
    """The files that an index names.

    Raises:
        ValueError: it is not an index.
    """
    try:
        return sorted(set(map(str, json.loads(index.read_bytes())["weight_map"].values())))
    except (ValueError, KeyError, TypeError, AttributeError):
        raise ValueError(f"{index.name} is no index of shards") from None


def _shards_of(repo: _Repo, index: str) -> list[str]:
    try:
        shards = _shards(repo.snapshot / index)
    except ValueError:
        raise ModelError(
            translated(
                "the model {repository} cannot be read: its {index} is damaged; "
                "choose another model."
            ).format(repository=repo.id, index=index)
        ) from None
    if missing := [shard for shard in shards if shard not in repo.sizes]:
        raise ModelError(
            translated(
                "the model {repository} is not whole: its {index} names {files}, which the "
                "repository does not have; choose another model."
            ).format(repository=repo.id, index=index, files=_listed(missing))
        )
    return shards


def _asked(repo_id: str) -> Any:
    """What the hub says of a repository, a ModelInfo of huggingface_hub."""
    from huggingface_hub import HfApi

    if is_offline():
        raise ModelError(offline_sentence(repo_id))
    return HfApi(endpoint=endpoint()).model_info(repo_id, timeout=TIMEOUT_S, files_metadata=True)


def _described(repo_id: str, info: Any) -> _Repo:
    """A repository that may be fetched: a gated one takes a second question."""
    if not info.sha:
        raise ModelError(no_hub_sentence(repo_id))
    if info.gated:
        _check_access(repo_id)
    sizes = {file.rfilename: file.size or 0 for file in info.siblings or []}
    return _Repo(repo_id, info.sha, sizes)


def _look_up(repo_id: str) -> _Repo:
    """A Whisper model's repository."""
    info = _asked(repo_id)
    sizes = {file.rfilename: file.size or 0 for file in info.siblings or []}
    kind = (info.config or {}).get("model_type") or "whisper"
    if kind != "whisper":
        raise ModelError(
            translated(
                "the model {repository} is no Whisper model but one of the kind {kind!r}; "
                "choose another model."
            ).format(repository=repo_id, kind=kind)
        )
    if not _chosen_weights(sizes):
        found = [name for name in sizes if name.endswith(_WEIGHT_SUFFIXES)]
        raise ModelError(
            translated(
                "the model {repository} has no Whisper weights that can be read: it holds {files}, "
                "and what is read are {read}."
            ).format(
                repository=repo_id, files=_listed(found or list(sizes)), read=translated(_READ)
            )
        )
    if _CONFIG not in sizes:
        raise ModelError(
            translated(
                "the model {repository} has no {config}, without which its {weights} cannot be "
                "read; choose another model."
            ).format(repository=repo_id, config=_CONFIG, weights=_chosen_weights(sizes))
        )
    return _described(repo_id, info)


def _check_access(repo_id: str) -> None:
    """Anyone may read what a gated repository holds; only its files are withheld."""
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError, RepositoryNotFoundError

    try:
        HfApi(endpoint=endpoint()).auth_check(repo_id)
    except RepositoryNotFoundError:  # a gated one is among them
        raise
    except HfHubHTTPError:
        pass  # a mirror that does not know the question; the files will tell


def _listed(names: list[str]) -> str:
    shown = ", ".join(sorted(names)[:_SHOWN_FILES]) or translated("no files")
    more = len(names) - _SHOWN_FILES
    if more <= 0:
        return shown
    return translated("{files} and {count} more").format(files=shown, count=more)


def _missing_bytes(repo: _Repo, names: list[str]) -> int:
    return sum(repo.sizes[name] for name in names if not (repo.snapshot / name).exists())


def _room_bytes(repo: _Repo) -> int:
    """What is free, and what earlier tries have brought already."""
    blobs = storage(repo.id) / "blobs"
    return shutil.disk_usage(blobs).free + sum(map(size_bytes, blobs.glob("*.incomplete")))


def _bring(repo: _Repo, names: list[str], on_progress: OnProgress | None) -> None:
    """Fetch the files that are not here, and give them their names in the snapshot."""
    from huggingface_hub import hf_hub_download

    missing = [name for name in names if not (repo.snapshot / name).exists()]
    sizes = [repo.sizes[name] for name in names]
    total_bytes = sum(sizes) if all(sizes) else 0
    done_bytes = sum(sizes) - _missing_bytes(repo, names)

    def report(file_bytes: int) -> None:
        if on_progress:
            on_progress(done_bytes + file_bytes, total_bytes)

    for name in missing:
        fetch_blob(repo.id, repo.commit, name, report)
        done_bytes += repo.sizes[name]
        # With the content in its place it only has to be linked, which differs by file system.
        hf_hub_download(
            repo.id,
            name,
            revision=repo.commit,
            cache_dir=hub_folder(),
            endpoint=endpoint(),
            etag_timeout=TIMEOUT_S,
        )


def _point_main_at(repo: _Repo) -> None:
    """Let `main` mean this commit, now that it is complete."""
    ref = storage(repo.id) / "refs" / "main"
    if ref.is_file() and ref.read_text("utf-8") == repo.commit:
        return
    ref.parent.mkdir(parents=True, exist_ok=True)
    new = ref.with_name(f"main.{os.getpid()}.tmp")
    new.write_text(repo.commit, "utf-8")
    new.replace(ref)
