"""The bytes of a file of the Hugging Face hub, resumed where an earlier try broke off.

huggingface_hub throws away what a broken transfer brought, and 3 GB over a weak line would begin
anew with every try; so only this is done here, with the library's own session, headers and names.
"""

import re
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Final

from longscribe.errors import ModelError
from longscribe.models.checkpoint import sha256_of
from longscribe.models.hub_cache import endpoint, hub_folder, storage
from longscribe.models.hub_errors import kinds_of, no_hub_sentence
from longscribe.models.transfer import fetch_resuming
from longscribe.wording.catalog import translated

TIMEOUT_S: Final = 30.0
_ETAG = re.compile(r"\w([\w.-]{0,94}\w)?", re.ASCII)
_SHA256 = re.compile(r"[0-9a-f]{64}")


def fetch_blob(repo_id: str, commit: str, name: str, report: Callable[[int], None]) -> None:
    """Put the content of a file where the library will look for it: under its etag.

    The name for what is not whole yet, and the lock, are those of the library.
    """
    from huggingface_hub import get_hf_file_metadata, hf_hub_url
    from huggingface_hub.utils import WeakFileLock

    url = hf_hub_url(repo_id, name, revision=commit, endpoint=endpoint())
    etag = get_hf_file_metadata(url, timeout=TIMEOUT_S, endpoint=endpoint()).etag
    if not etag or not _ETAG.fullmatch(etag):
        raise ModelError(no_hub_sentence(repo_id))
    blob = storage(repo_id) / "blobs" / etag
    lock = hub_folder() / ".locks" / blob.parent.parent.name / f"{etag}.lock"
    blob.parent.mkdir(parents=True, exist_ok=True)
    lock.parent.mkdir(parents=True, exist_ok=True)
    with WeakFileLock(lock):
        if not blob.exists():
            part = blob.with_name(f"{etag}.incomplete")
            what = translated("{file} of {repository}").format(file=name, repository=repo_id)
            _fetch_checked(what, url, part, report)
            part.replace(blob)


def _fetch_checked(what: str, url: str, part: Path, report: Callable[[int], None]) -> None:
    sha256 = part.stem if _SHA256.fullmatch(part.stem) else ""  # small files have git's own digest
    for _ in range(2):
        _fetch(url, part, report)
        if not sha256 or sha256_of(part) == sha256:
            return
        part.unlink()
    raise ModelError(
        translated(
            "{what} came with the wrong sha256 twice (from {url}); nothing was kept."
        ).format(what=what, url=url)
    )


def _fetch(url: str, part: Path, report: Callable[[int], None]) -> None:
    from huggingface_hub import get_session
    from huggingface_hub.utils import build_hf_headers, hf_raise_for_status

    def stream(headers: Mapping[str, str]) -> AbstractContextManager[Any]:
        return get_session().stream(
            "GET",
            url,
            headers={**build_hf_headers(), **headers},
            follow_redirects=True,
            timeout=TIMEOUT_S,
        )

    fetch_resuming(
        stream,
        part,
        lambda done_bytes, _: report(done_bytes),
        broke_off=lambda error: "TransportError" in kinds_of(error),
        raise_for_status=hf_raise_for_status,
    )
