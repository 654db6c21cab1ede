"""Models of the Hugging Face hub: which files of a repository are needed, and how they come here.

The hub is spoken to through huggingface_hub, and what comes is kept in its own cache, where other
programs find it and it finds theirs. Only the bytes are fetched here: the library throws away what
a broken transfer brought, and 3 GB over a weak line would begin anew with every try.

huggingface_hub takes 0.3 s to import; nothing here imports it before the hub has to be asked.
"""

import json
import logging
import os
import re
import shutil
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, NamedTuple

from longscribe.checkpoint import sha256_of
from longscribe.errors import ModelError

OnProgress = Callable[[int, int], None]  # bytes so far, bytes in all (0 when unknown)

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
_READ: Final = (
    "model.safetensors, pytorch_model.bin (both also in shards) and the model.bin of CTranslate2"
)
_WEIGHT_SUFFIXES: Final = (
    *(".safetensors", ".bin", ".msgpack", ".h5", ".onnx", ".gguf", ".ggml", ".pt", ".pth"),
    *(".ckpt", ".nemo", ".npz", ".tflite", ".mlmodelc", ".mlpackage"),
)
_SHOWN_FILES: Final = 4

_OWNER_OR_NAME = re.compile(r"\w([\w.-]{0,94}\w)?", re.ASCII)
_SHA256 = re.compile(r"[0-9a-f]{64}")
_TIMEOUT_S: Final = 30.0
_TRUE: Final = ("1", "ON", "YES", "TRUE")
_RANGE_NOT_SATISFIABLE: Final = 416
_PARTIAL_CONTENT: Final = 206
_OTHER_FOLDER: Final = "HF_HOME chooses another folder."


class _Repo(NamedTuple):
    """What the hub says of a repository: the commit of `main`, and its files with their bytes."""

    id: str
    commit: str
    sizes: dict[str, int]

    @property
    def snapshot(self) -> Path:
        """Where the files of this commit are found by their names."""
        return _storage(self.id) / "snapshots" / self.commit


def is_repo_id(name: str) -> bool:
    """Whether a model's name means a repository of the hub, and not a file or folder here."""
    if name.startswith((".", "/", "~")) or name.endswith(".git"):
        return False
    if "--" in name or ".." in name or name.count("/") != 1:
        return False
    return all(map(_OWNER_OR_NAME.fullmatch, name.split("/"))) and not os.path.exists(name)


def cached(repo_id: str) -> Path | None:
    """The repository's folder in the hub's cache, if its weights are all there; asks nobody."""
    storage = _storage(repo_id)
    try:
        folder = storage / "snapshots" / (storage / "refs" / "main").read_text("utf-8").strip()
        return folder if folder.parent != storage and _is_complete(folder) else None
    except (OSError, ValueError):
        return None


def check_available(repo_id: str) -> None:
    """Ask the hub whether the model can be had; nothing is asked if it is here already.

    Raises:
        ModelError: no such repository, no access to it, no Whisper weights in it, or no answer.
    """
    if not cached(repo_id):
        with _hub_errors(repo_id):
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
        with _hub_errors(repo_id):
            repo = _look_up(repo_id)
    except ModelError:
        if folder := cached(repo_id):
            return folder
        raise
    with _hub_errors(repo_id, "; what arrived is kept and the next try goes on from there"):
        return _download(repo, on_progress)


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
            f"the model {repo.id} needs {needed_bytes / 1e9:.1f} GB more in {_storage(repo.id)}, "
            f"where that much is not free; make room, or {_OTHER_FOLDER}"
        )
    _bring(repo, wanted, on_progress)
    _point_main_at(repo)
    return repo.snapshot


def _endpoint() -> str:
    return (os.environ.get("HF_ENDPOINT") or "https://huggingface.co").rstrip("/")


def _cache_folder() -> Path:
    """Where huggingface_hub keeps repositories, found as it does (huggingface_hub/constants.py)."""
    environ = os.environ
    default_home = os.path.join(environ.get("XDG_CACHE_HOME", "~/.cache"), "huggingface")
    home = environ.get("HF_HOME", default_home)
    folder = environ.get("HF_HUB_CACHE") or environ.get("HUGGINGFACE_HUB_CACHE")
    return Path(os.path.expandvars(os.path.expanduser(folder or os.path.join(home, "hub"))))


def _storage(repo_id: str) -> Path:
    return _cache_folder() / f"models--{repo_id.replace('/', '--')}"


def _is_offline() -> bool:
    value = os.environ.get("HF_HUB_OFFLINE") or os.environ.get("TRANSFORMERS_OFFLINE") or ""
    return value.upper() in _TRUE


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
            f"the model {repo.id} cannot be read: its {index} is damaged; choose another model."
        ) from None
    if missing := [shard for shard in shards if shard not in repo.sizes]:
        raise ModelError(
            f"the model {repo.id} is not whole: its {index} names {_listed(missing)}, which the "
            "repository does not have; choose another model."
        )
    return shards


def _look_up(repo_id: str) -> _Repo:
    """One question to the hub, and a second one only for a gated repository."""
    from huggingface_hub import HfApi

    if _is_offline():
        raise ModelError(_offline(repo_id))
    api = HfApi(endpoint=_endpoint())
    info = api.model_info(repo_id, timeout=_TIMEOUT_S, files_metadata=True)
    sizes = {file.rfilename: file.size or 0 for file in info.siblings or []}
    kind = (info.config or {}).get("model_type") or "whisper"
    if kind != "whisper":
        raise ModelError(
            f"the model {repo_id} is no Whisper model but one of the kind {kind!r}; "
            "choose another model."
        )
    if not _chosen_weights(sizes):
        found = [name for name in sizes if name.endswith(_WEIGHT_SUFFIXES)]
        raise ModelError(
            f"the model {repo_id} has no Whisper weights that can be read: it holds "
            f"{_listed(found or list(sizes))}, and what is read are {_READ}."
        )
    if _CONFIG not in sizes:
        raise ModelError(
            f"the model {repo_id} has no {_CONFIG}, without which its {_chosen_weights(sizes)} "
            "cannot be read; choose another model."
        )
    if not info.sha:
        raise ModelError(_no_hub(repo_id))
    if info.gated:
        _check_access(repo_id)
    return _Repo(repo_id, info.sha, sizes)


def _check_access(repo_id: str) -> None:
    """Anyone may read what a gated repository holds; only its files are withheld."""
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError, RepositoryNotFoundError

    try:
        HfApi(endpoint=_endpoint()).auth_check(repo_id)
    except RepositoryNotFoundError:  # a gated one is among them
        raise
    except HfHubHTTPError:
        pass  # a mirror that does not know the question; the files will tell


def _listed(names: list[str]) -> str:
    shown = ", ".join(sorted(names)[:_SHOWN_FILES]) or "no files"
    more = len(names) - _SHOWN_FILES
    return f"{shown} and {more} more" if more > 0 else shown


def _missing_bytes(repo: _Repo, names: list[str]) -> int:
    return sum(repo.sizes[name] for name in names if not (repo.snapshot / name).exists())


def _room_bytes(repo: _Repo) -> int:
    """What is free, and what earlier tries have brought already."""
    blobs = _storage(repo.id) / "blobs"
    return shutil.disk_usage(blobs).free + sum(map(_size, blobs.glob("*.incomplete")))


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
        _fetch_blob(repo, name, report)
        done_bytes += repo.sizes[name]
        # With the content in its place it only has to be linked, which differs by file system.
        hf_hub_download(
            repo.id,
            name,
            revision=repo.commit,
            cache_dir=_cache_folder(),
            endpoint=_endpoint(),
            etag_timeout=_TIMEOUT_S,
        )


def _point_main_at(repo: _Repo) -> None:
    """Let `main` mean this commit, now that it is complete."""
    ref = _storage(repo.id) / "refs" / "main"
    if ref.is_file() and ref.read_text("utf-8") == repo.commit:
        return
    ref.parent.mkdir(parents=True, exist_ok=True)
    new = ref.with_name(f"main.{os.getpid()}.tmp")
    new.write_text(repo.commit, "utf-8")
    new.replace(ref)


def _fetch_blob(repo: _Repo, name: str, report: Callable[[int], None]) -> None:
    """Put the content of a file where the library will look for it: under its etag.

    The name for what is not whole yet, and the lock, are those of the library.
    """
    from huggingface_hub import get_hf_file_metadata, hf_hub_url
    from huggingface_hub.utils import WeakFileLock  # type: ignore[attr-defined]

    url = hf_hub_url(repo.id, name, revision=repo.commit, endpoint=_endpoint())
    etag = get_hf_file_metadata(url, timeout=_TIMEOUT_S, endpoint=_endpoint()).etag
    if not etag or not _OWNER_OR_NAME.fullmatch(etag):
        raise ModelError(_no_hub(repo.id))
    blob = _storage(repo.id) / "blobs" / etag
    lock = _cache_folder() / ".locks" / blob.parent.parent.name / f"{etag}.lock"
    blob.parent.mkdir(parents=True, exist_ok=True)
    lock.parent.mkdir(parents=True, exist_ok=True)
    with WeakFileLock(lock):
        if not blob.exists():
            part = blob.with_name(f"{etag}.incomplete")
            _fetch_checked(f"{name} of {repo.id}", url, part, report)
            part.replace(blob)


def _fetch_checked(what: str, url: str, part: Path, report: Callable[[int], None]) -> None:
    sha256 = part.stem if _SHA256.fullmatch(part.stem) else ""  # small files have git's own digest
    for _ in range(2):
        _fetch_resuming(url, part, report)
        if not sha256 or sha256_of(part) == sha256:
            return
        part.unlink()
    raise ModelError(f"{what} came with the wrong sha256 twice (from {url}); nothing was kept.")


def _fetch_resuming(url: str, part: Path, report: Callable[[int], None]) -> None:
    """Fetch, and go on after every break for as long as each try brings something."""
    while True:
        before_bytes = _size(part)
        try:
            return _fetch(url, part, report)
        except Exception as error:
            if "TransportError" not in _kinds(error) or _size(part) <= before_bytes:
                raise


def _size(part: Path) -> int:
    return part.stat().st_size if part.is_file() else 0


def _fetch(url: str, part: Path, report: Callable[[int], None]) -> None:
    from huggingface_hub import get_session
    from huggingface_hub.utils import (  # type: ignore[attr-defined]
        build_hf_headers,
        hf_raise_for_status,
    )

    have_bytes = _size(part)
    headers = {**build_hf_headers(), "Accept-Encoding": "identity"}
    if have_bytes:
        headers["Range"] = f"bytes={have_bytes}-"
    with get_session().stream(
        "GET", url, headers=headers, follow_redirects=True, timeout=_TIMEOUT_S
    ) as response:
        if have_bytes and response.status_code == _RANGE_NOT_SATISFIABLE:
            return  # all of it was here already; the digest decides
        hf_raise_for_status(response)
        resumed = response.status_code == _PARTIAL_CONTENT
        done_bytes = have_bytes if resumed else 0
        with part.open("ab" if resumed else "wb") as file:
            for block in response.iter_raw():
                file.write(block)
                done_bytes += len(block)
                report(done_bytes)


@contextmanager
def _hub_errors(repo_id: str, aftermath: str = "") -> Iterator[None]:
    """Keep the library silent, and tell its errors in one sentence."""
    try:
        with _quiet():
            yield
    except ModelError:
        raise
    except Exception as error:
        if sentence := _sentence(repo_id, error, aftermath):
            raise ModelError(sentence) from None
        raise


@contextmanager
def _quiet() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import huggingface_hub.utils  # noqa: F401 (sets the level of its logger when imported)

        loggers = [logging.getLogger(name) for name in ("huggingface_hub", "httpx2", "filelock")]
        levels = [logger.level for logger in loggers]
        for logger in loggers:
            logger.setLevel(logging.CRITICAL)
        try:
            yield
        finally:
            for logger, level in zip(loggers, levels, strict=True):
                logger.setLevel(level)


def _kinds(error: BaseException) -> set[str]:
    """The names of an error's classes: versions of the library raise those of httpx or httpx2."""
    return {kind.__name__ for kind in type(error).__mro__}


def _sentence(repo_id: str, error: BaseException, aftermath: str) -> str:
    """What went wrong, and what to do; nothing if it is none of what a hub can do wrong."""
    kinds = _kinds(error)
    if "LocalEntryNotFoundError" in kinds and error.__cause__:
        return _sentence(repo_id, error.__cause__, aftermath)
    if "OfflineModeIsEnabled" in kinds:
        return _offline(repo_id)
    if kinds & {"JSONDecodeError", "FileMetadataError"}:
        return _no_hub(repo_id)
    if "HfHubHTTPError" in kinds:
        return _refused(repo_id, kinds, getattr(error, "response", None), aftermath)
    if "HTTPError" in kinds:
        reason = _reason(kinds)
        return f"the model {repo_id} cannot be fetched from {_endpoint()} ({reason}){aftermath}."
    if isinstance(error, OSError):
        return (
            f"the model {repo_id} cannot be kept in {_cache_folder()}: "
            f"{error.strerror or error}; {_OTHER_FOLDER}"
        )
    return ""


def _refused(repo_id: str, kinds: set[str], response: object, aftermath: str) -> str:
    status = getattr(response, "status_code", 0)
    if "GatedRepoError" in kinds:
        return (
            f"the model {repo_id} is gated: accept its terms at {_endpoint()}/{repo_id}, and give "
            "your token in HF_TOKEN or with `hf auth login`."
        )
    if kinds & {"RepositoryNotFoundError", "RevisionNotFoundError"}:
        return (
            f"there is no model {repo_id} at {_endpoint()}, and no file or folder of that name "
            "here; check the name, and if it is private, give your token in HF_TOKEN or with "
            "`hf auth login`."
        )
    if status == 401:
        return (
            f"{_endpoint()} does not accept the token that it got for the model {repo_id}; "
            "check HF_TOKEN, or run `hf auth login`."
        )
    if status == 429:
        return (
            f"the model {repo_id} cannot be fetched now: {_endpoint()} has had too many requests "
            f"from here{aftermath}; try again later."
        )
    return f"the model {repo_id} cannot be fetched: {_endpoint()} answered {status}{aftermath}."


def _reason(kinds: set[str]) -> str:
    if kinds & {"ConnectError", "ProxyError", "UnsupportedProtocol"}:
        return "no connection"
    return "it does not answer" if "TimeoutException" in kinds else "the connection broke off"


def _offline(repo_id: str) -> str:
    return (
        f"the model {repo_id} is not in {_cache_folder()}, and HF_HUB_OFFLINE forbids to fetch it; "
        "unset that variable, or choose a model that is here."
    )


def _no_hub(repo_id: str) -> str:
    return (
        f"the model {repo_id} cannot be fetched: {_endpoint()} does not answer like a Hugging Face "
        "hub; check HF_ENDPOINT."
    )
