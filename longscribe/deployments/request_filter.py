"""The filter in front of the Prefect server: whose requests come in at all.

On loopback nobody is asked for a password, but every web page that is open in a browser on this
machine can send requests there, and Prefect's server answers them: it allows all origins, and takes
JSON of no declared type, for which browsers ask no leave. One such request starts a run; a few make
a deployment of a shell command. So requests that a browser sends for another site stop here.
"""

import ipaddress
import json
from collections.abc import Iterable
from typing import Final
from urllib.parse import urlsplit

from starlette.types import ASGIApp, Message, Receive, Scope, Send

# A transcript of ten hours as JSON within JSON; parameters of a run are at most 512 KB.
LARGEST_BODY_BYTES: Final = 64_000_000


class RequestFilter:
    """An ASGI application that passes on what may come in.

    Args:
        app: what is behind it.
        own_url: what people call the server, such as https://transcripts.example.org.
        asks: whether a password is asked for behind it. If not, names that are not the server's
            are refused too: any name can be made to mean 127.0.0.1, and a browser then takes the
            page of that name for ours.
    """

    def __init__(self, app: ASGIApp, own_url: str, asks: bool) -> None:
        self._app = app
        self._own = urlsplit(own_url)
        self._asks = asks

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or pass it on."""
        if scope["type"] in ("http", "websocket"):
            refusal = self._refusal(_headers(scope))
            if refusal:
                await _refuse(scope, send, *refusal)
                return
        await self._app(scope, receive, send)

    def _refusal(self, headers: dict[str, str]) -> tuple[int, str] | None:
        host = headers.get("host", "")
        if not self._asks and not self._is_own(host):
            return 403, "this server goes by another name; set LONGSCRIBE_URL to this one"
        origin = headers.get("origin")
        if origin is not None and not self._is_same_site(origin, host):
            return 403, "requests from web pages of other sites are refused"
        # Every client of Prefect's says how long; what does not could go on for ever.
        if "transfer-encoding" in headers:
            return 411, "say how long the request is (Content-Length)"
        length = headers.get("content-length", "0")
        if not length.isdecimal() or int(length) > LARGEST_BODY_BYTES:
            return 413, f"requests are at most {LARGEST_BODY_BYTES // 10**6} MB long"
        return None

    def _is_same_site(self, origin: str, host: str) -> bool:
        site = urlsplit(origin).netloc  # empty for the origin "null"
        return site != "" and site in (host, self._own.netloc)

    def _is_own(self, host: str) -> bool:
        name = urlsplit(f"//{host}").hostname or ""
        try:
            ipaddress.ip_address(name)
        except ValueError:
            # Names without a dot are this network's: nobody elsewhere can own one.
            return "." not in name or name == self._own.hostname
        return True


def _headers(scope: Scope) -> dict[str, str]:
    pairs: Iterable[tuple[bytes, bytes]] = scope["headers"]
    return {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in pairs}


async def _refuse(scope: Scope, send: Send, status: int, why: str) -> None:
    if scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": 1008, "reason": why})  # 403 to the client
        return
    body = json.dumps({"detail": why}).encode()
    headers = [(b"content-type", b"application/json"), (b"connection", b"close")]
    headers.append((b"content-length", str(len(body)).encode()))
    start: Message = {"type": "http.response.start", "status": status, "headers": headers}
    await send(start)
    await send({"type": "http.response.body", "body": body})
