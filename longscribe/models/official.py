"""Official weights, fetched once into the folder that openai-whisper itself uses."""

import fcntl
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, Final

import httpx

from longscribe.errors import ModelError
from longscribe.models.checkpoint import sha256_of
from longscribe.models.checksums import kept_sha256
from longscribe.models.names import OfficialFile, official_file, weights_folder
from longscribe.models.transfer import OnProgress, fetch_resuming
from longscribe.models.weights_errors import broken_off, not_fetched, wrong_digest
from longscribe.wording.catalog import translated
from longscribe.wording.system_errors import told

_TIMEOUT_S: Final = 30.0
_QUESTION_TIMEOUT_S: Final = 10.0
_NO_HEAD: Final = (405, 501)  # some mirrors know only GET


def check_reachable(name: str, model_dir: str, ways: str) -> None:
    """Ask the server whether it has a model.

    Args:
        name: official.
        model_dir: where weights are kept.
        ways: how else the model can be had, as the end of a sentence.

    Raises:
        ModelError: it has not, or does not answer.
    """
    wanted = official_file(name, model_dir)
    try:
        response = httpx.head(wanted.url, follow_redirects=True, timeout=_QUESTION_TIMEOUT_S)
        if response.status_code not in _NO_HEAD:
            response.raise_for_status()
    except httpx.HTTPError as error:
        raise not_fetched(name, wanted.url, error, ways) from None


def download(name: str, model_dir: str = "", on_progress: OnProgress | None = None) -> Path:
    """Fetch an official model's file, resumed where it broke off, checked, then put in place.

    Raises:
        ModelError: it cannot be had or kept.
    """
    wanted, folder = official_file(name, model_dir), weights_folder(model_dir)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with _only_one_download(wanted.target):
            if not _complete(wanted):
                _fetched(name, wanted, on_progress)
    except OSError as error:
        raise ModelError(
            translated(
                "the weights of {name} cannot be kept in {folder}: {reason}; "
                "choose another folder with --model-dir."
            ).format(name=name, folder=folder, reason=told(error))
        ) from None
    return wanted.target


def _complete(wanted: OfficialFile) -> bool:
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


def _fetched(name: str, wanted: OfficialFile, on_progress: OnProgress | None) -> None:
    part = wanted.target.with_suffix(".part")
    for attempt in (1, 2):
        try:
            _fetch(wanted.url, part, on_progress)
        except httpx.HTTPError as error:
            raise broken_off(name, wanted.url, error) from None
        if sha256_of(part) == wanted.sha256:
            part.replace(wanted.target)
            return
        part.unlink()
        if attempt == 2:
            raise wrong_digest(name, wanted.url)


def _fetch(url: str, part: Path, on_progress: OnProgress | None) -> None:
    def stream(headers: Mapping[str, str]) -> AbstractContextManager[Any]:
        return httpx.stream(
            "GET", url, headers=dict(headers), follow_redirects=True, timeout=_TIMEOUT_S
        )

    fetch_resuming(
        stream,
        part,
        on_progress,
        broke_off=lambda error: isinstance(error, httpx.TransportError),
        raise_for_status=httpx.Response.raise_for_status,
    )
