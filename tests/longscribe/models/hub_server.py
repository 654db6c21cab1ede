"""A small Hugging Face hub for tests: as much of its protocol as a download needs."""

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from urllib.parse import unquote, urlsplit

import pytest

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@dataclass
class Repo:
    """A repository and what is wrong with it."""

    files: dict[str, bytes]
    commit: str = COMMIT
    model_type: str | None = "whisper"
    gated: bool = False
    token: str = ""  # who sends it may read a gated or private repository
    private: bool = False


@dataclass
class Hub:
    """What the server has, and what it was asked for."""

    repos: dict[str, Repo] = field(default_factory=dict)
    breaks_after: dict[str, int] = field(default_factory=dict)  # file -> bytes; each break once
    asked: list[tuple[str, str, str]] = field(default_factory=list)  # method, path, Range
    answers: int = 200  # anything else is the status of all answers
    url: str = ""

    def add(self, repo_id: str, *names: str, **kinds: object) -> Repo:
        """A repository with these files, each with content of its own."""
        files = {name: json.dumps({"file": name}).encode() for name in names}
        repo = self.repos[repo_id] = Repo(files, **kinds)
        return repo

    def asked_for(self, name: str, method: str = "GET") -> list[str]:
        """The Range headers of the requests for a file."""
        return [
            asked_range
            for asked_method, path, asked_range in self.asked
            if asked_method == method and path.endswith(f"/{name}")
        ]


@contextmanager
def hub_server() -> Iterator[Hub]:
    """The hub at `url` until the end of the block."""
    hub = Hub()

    class Handler(_Handler):
        served = hub

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True  # clients keep their connections
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    hub.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield hub
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def use_hub(url: str, home: Path, environment: pytest.MonkeyPatch) -> None:
    """Let huggingface_hub, here and in processes started from here, use this hub and this cache."""
    for name in ("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"):
        environment.delenv(name, raising=False)
    environment.delenv("HF_TOKEN", raising=False)
    environment.setenv("HF_ENDPOINT", url)
    environment.setenv("HF_HOME", str(home))


@contextmanager
def hub_in_use(home: Path, environment: pytest.MonkeyPatch) -> Iterator[Hub]:
    """A hub that huggingface_hub uses, with its cache in `home`, until the end of the block."""
    import huggingface_hub

    with hub_server() as hub:
        use_hub(hub.url, home, environment)
        yield hub
        huggingface_hub.close_session()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    served: Hub

    def do_HEAD(self) -> None:
        self._serve()

    def do_GET(self) -> None:
        self._serve()

    def log_message(self, *_: object) -> None:
        pass

    def _serve(self) -> None:
        path = unquote(urlsplit(self.path).path)
        self.served.asked.append((self.command, path, self.headers.get("Range", "")))
        if self.served.answers != 200:
            return self._answer(self.served.answers)
        is_api = path.startswith("/api/models/")
        owner, name, *rest = path.removeprefix("/api/models" if is_api else "").split("/")[1:]
        repo = self.served.repos.get(f"{owner}/{name}")
        has_token = bool(repo and repo.token) and (
            self.headers.get("Authorization") == f"Bearer {repo.token}"
        )
        if not repo or (repo.private and not has_token):
            return self._answer(401, {"X-Error-Code": "RepoNotFound"})
        is_withheld = repo.gated and not has_token
        if is_withheld and (not is_api or rest == ["auth-check"]):
            return self._answer(403 if repo.token else 401, {"X-Error-Code": "GatedRepo"})
        if is_api:
            return self._answer(200, {}, json.dumps(_info(f"{owner}/{name}", repo)).encode())
        self._send_file(repo, "/".join(rest[2:]))

    def _send_file(self, repo: Repo, name: str) -> None:
        data = repo.files.get(name)
        headers = {"X-Repo-Commit": repo.commit, "X-HF-Warning": "token; You are unauthenticated."}
        if data is None:
            return self._answer(404, {**headers, "X-Error-Code": "EntryNotFound"})
        start = int(self.headers.get("Range", "bytes=0-").removeprefix("bytes=").rstrip("-"))
        if start >= len(data):
            return self._answer(416, headers)
        headers["ETag"] = f'"{_etag(name, data)}"'
        if start:
            headers["Content-Range"] = f"bytes {start}-{len(data) - 1}/{len(data)}"
        limit = None if self.command == "HEAD" else self.served.breaks_after.pop(name, None)
        self._answer(206 if start else 200, headers, data[start:], limit)

    def _answer(
        self,
        code: int,
        headers: dict[str, str] | None = None,
        data: bytes = b"",
        limit: int | None = None,
    ) -> None:
        self.send_response(code)
        for header, value in (headers or {}).items():
            self.send_header(header, value)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data[:limit])
        if limit is not None:
            self.close_connection = True


def _info(repo_id: str, repo: Repo) -> dict[str, object]:
    siblings = []
    for name, data in repo.files.items():
        siblings.append({"rfilename": name, "size": len(data), "blobId": _git_digest(data)})
    return {
        "id": repo_id,
        "sha": repo.commit,
        "gated": "auto" if repo.gated else False,
        "private": repo.private,
        "tags": [],
        "siblings": siblings,
        "config": {"model_type": repo.model_type} if repo.model_type else {},
    }


def _etag(name: str, data: bytes) -> str:
    if name.endswith(".json"):
        return _git_digest(data)
    return hashlib.sha256(data).hexdigest()


def _git_digest(data: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()
