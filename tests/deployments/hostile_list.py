"""deployments/HOSTILE.md, from the requests that the tests send: `python -m ...hostile_list`."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from longscribe import deployments
from tests.deployments.hostile import (
    BY_A_CALLER,
    DOWNLOADS,
    REFUSED_BY_THE_SERVER,
    REFUSED_BY_THE_WORKER,
    START,
    STOPPED_BY_THE_FILTER,
    WITHOUT_THE_PASSWORD,
    Request,
    Run,
)
from tests.deployments.hostile_web import TO_THE_WEB_APPLICATION, WebRequest

DOCUMENT = Path(deployments.__file__).with_name("HOSTILE.md")
_LONGEST = 90

_BEGINNING = """# What hostile requests get

Everything below is sent to a server and a worker as `make serve` starts them, and the answer looked
at (`make test-service`, `tests/deployments/test_hostile.py`); `python -m
tests.deployments.hostile_list` writes this list. "Start" is a POST to `.../create_flow_run` of the
deployment `transcribe`. `link.wav`, `linked` and `circle.wav` are symbolic links in the media
folder that lead out of it or in a circle, `playlist.wav` is a list that names a file outside. The
web application's requests are sent by `tests/longscribe/web/test_hostile.py`, in every run.
"""
_END = """
## What is not refused

- **The password opens everything.** Prefect's server knows no users with fewer rights than others.
  Whoever has the password, or an account on the machine where none is asked for, may change the
  work pool and the deployments, and with a deployment of their own run any command as the worker's
  user. The lists above bind those who may start `transcribe`; [nginx.conf](nginx.conf) has an
  address for callers who may no more than that, see their own runs and read transcripts.
- A run may be started in a queue that nobody serves; it waits for ever.
- Names and tags of runs may be long; they take room in the database.
"""


def document() -> str:
    """The whole list."""
    parts, number = [_BEGINNING], 0
    for title, rows in _groups():
        lines = [f"\n## {title}\n", "| | request | answer |", "|---|---|---|"]
        for request, answer in rows:
            number += 1
            lines.append(f"| {number} | {request} | {answer} |")
        parts.append("\n".join(lines) + "\n")
    return "".join(parts) + _END


def _groups() -> Iterator[tuple[str, list[tuple[str, str]]]]:
    yield (
        "Refused by the server: no run is made",
        [*map(_request, REFUSED_BY_THE_SERVER)],
    )
    yield "Stopped by the request filter", [*map(_request, STOPPED_BY_THE_FILTER)]
    yield "Without the password, where one is asked for", [*map(_request, WITHOUT_THE_PASSWORD)]
    yield (
        "From a caller with a password of their own, through [nginx.conf](nginx.conf)",
        [*map(_request, BY_A_CALLER)],
    )
    yield (
        "To the [web application](../../docs/web.md)",
        [*map(_web_request, TO_THE_WEB_APPLICATION)],
    )
    yield "Refused by the worker: the run ends Failed", [*map(_run, REFUSED_BY_THE_WORKER)]
    yield (
        "Downloads: the run ends Failed",
        [(f"a recording whose URL leads to {d.what}", f"... {d.words} ...") for d in DOWNLOADS],
    )


_WHO = {
    "nobody": "without a key",
    "ana": "with a key",
    "reader": "with a key for reading",
    "bob": "with another's key",
    "browser": "with a cookie",
}


def _web_request(request: WebRequest) -> tuple[str, str]:
    sent = f"{request.what}: {request.method} {_code(request.path)} {_WHO[request.who]}"
    return (
        sent,
        f"{request.status} ... {request.words} ..." if request.words else f"{request.status}",
    )


def _request(request: Request) -> tuple[str, str]:
    where = "Start" if request.path == START else f"{request.method} {_code(request.path)}"
    if request.method == "OPTIONS":
        where = "OPTIONS"
    sent = [where]
    if request.body is not None:
        text = request.content.decode()
        size = f" ({len(text):,} bytes)" if len(text) > _LONGEST else ""
        sent.append(_code(text) + size)
    shown = {name: value for name, value in request.headers.items() if name != "content-type"}
    sent += [_code(f"{name}: {value}") for name, value in shown.items()]
    answer = f"{request.status}" + (f" ... {request.words} ..." if request.words else "")
    return f"{request.what}: {', '.join(sent)}", answer


def _run(run: Run) -> tuple[str, str]:
    parameters: dict[str, Any] = dict(run.parameters)
    if len(parameters) > 1 and parameters["recording"] == "a.wav":
        del parameters["recording"]
    text = json.dumps(parameters | dict(run.body))[1:-1]
    return _code(text), f"... {run.words} ..."


def _code(text: str) -> str:
    if len(text) > _LONGEST:
        text = text[:_LONGEST] + "..."
    return f"`{text}`".replace("|", "\\|")


if __name__ == "__main__":
    DOCUMENT.write_text(document(), encoding="utf-8")
