"""Requests of somebody who wants more than a transcript, and what each gets.

`test_hostile.py` sends every one of them to a server and a worker as `make serve` starts them;
`hostile_list.py` writes deployments/HOSTILE.md from them.
"""

import json
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from tests.longscribe.servers import Answer, content, endless, status

START = "/api/deployments/{transcribe}/create_flow_run"
JSON = {"content-type": "application/json"}
EVIL = {"origin": "https://evil.example"}
# A second loopback address, the only private one that the tests' worker may download from.
DOWNLOADS_FROM = "127.0.0.9"
LARGEST_DOWNLOAD = "20MB"


class Request(NamedTuple):
    """One that the server answers itself: no run is made.

    Attributes:
        what: in words.
        status: of the answer.
        words: in the answer.
        body: as JSON, or as it is.
        headers: besides what the body needs.
        method: of HTTP.
        path: with {transcribe} for the deployment's identifier.
    """

    what: str
    status: int
    words: str = ""
    body: Any = None
    headers: Mapping[str, str] = MappingProxyType({})
    method: str = "POST"
    path: str = START

    @property
    def content(self) -> bytes:
        """The body as it is sent."""
        if self.body is None:
            return b""
        return self.body if isinstance(self.body, bytes) else json.dumps(self.body).encode()


class Run(NamedTuple):
    """One that the worker refuses: its run ends Failed, and nothing was read or written.

    Attributes:
        parameters: of the run; {roots} is the first media root, {outside} the folder above.
        words: in the message of its state.
        body: what else the request has.
    """

    parameters: dict[str, Any]
    words: str
    body: Mapping[str, Any] = MappingProxyType({})


class Download(NamedTuple):
    """A web server that does not mean well; the run that asks it ends Failed.

    Attributes:
        what: in words.
        answers: of the server, by path; /a.wav is asked for.
        words: in the message of the run's state.
    """

    what: str
    answers: dict[str, Answer]
    words: str


def _of(**parameters: Any) -> dict[str, Any]:
    return {"parameters": {"recording": "a.wav", **parameters}}


_TEMPLATE = {
    "__prefect_kind": "jinja",
    "template": "{{ ''.__class__.__mro__[1].__subclasses__() }}",
}
_A_RUN = "/api/flow_runs/00000000-0000-0000-0000-000000000000"
_PASSWD = "/%2e%2e/%2e%2e/%2e%2e/%2e%2e/etc/passwd"

REFUSED_BY_THE_SERVER = [
    Request("broken JSON", 422, "JSON decode error", b'{"parameters": ', JSON),
    Request("a list", 422, "valid dictionary", [1]),
    Request(
        "100,000 lists in each other",
        400,
        "error parsing the body",
        b'{"parameters": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        JSON,
    ),
    Request(
        "a form as of 1995",
        422,
        "valid dictionary",
        b"recording=a.wav",
        JSON | {"content-type": "application/x-www-form-urlencoded"},
    ),
    Request("no recording", 409, "'recording' is a required property", {"parameters": {}}),
    Request("a recording that is a list", 409, "is not of type 'string'", _of(recording=["a"])),
    Request("a value out of its range", 409, "greater than the maximum of 2.0", _of(speed=9)),
    Request(
        "infinity",
        409,
        "greater than the maximum",
        b'{"parameters": {"recording": "a.wav", "speed": 1e999}}',
        JSON,
    ),
    Request("a word for a number", 409, "is not of type 'number'", _of(temperature="warm")),
    Request("a word for a tempo", 409, "'auto' was expected", _of(speed="fast")),
    Request("an unknown choice", 409, "is not one of", _of(formats=["exe"])),
    Request("ten thousand candidates", 409, "greater than the maximum of 20", _of(best_of=10_000)),
    Request(
        "600 KB of prompt",
        422,
        "must be less than 524,288 bytes",
        _of(initial_prompt="x" * 600_000),
    ),
    Request(
        "10,000 lines of glossary",
        422,
        "must be less than 524,288 bytes",
        _of(glossary=["x" * 60] * 10_000),
    ),
    Request(
        "a field that there is not",
        422,
        "Extra inputs are not permitted",
        _of() | {"command": "id"},
    ),
    Request(
        "a parameter that there is not",
        409,
        "'nonsense' was unexpected",
        _of(nonsense=1),
    ),
    Request(
        "another command for the worker",
        422,
        "'command' was unexpected",
        _of() | {"job_variables": {"command": "id"}},
    ),
    Request(
        "another environment for the worker",
        422,
        "'env' was unexpected",
        _of() | {"job_variables": {"env": {"LONGSCRIBE_MEDIA_ROOTS": "/"}}},
    ),
    Request(
        "another folder for the worker",
        422,
        "'working_dir' was unexpected",
        _of() | {"job_variables": {"working_dir": "/etc"}},
    ),
    Request(
        "a template that looks into the server", 400, "SecurityError", _of(initial_prompt=_TEMPLATE)
    ),
    Request(
        "a variable of the server",
        400,
        "not found in workspace",
        _of(initial_prompt={"__prefect_kind": "workspace_variable", "variable_name": "secret"}),
    ),
    Request(
        "a deployment that there is not",
        404,
        "Deployment not found",
        _of(),
        path=START.format(transcribe="00000000-0000-0000-0000-000000000000"),
    ),
    Request("no identifier", 404, "Not Found", _of(), path=START.format(transcribe="..%2f..")),
    Request("a file of the server's machine", 404, "", method="GET", path=_PASSWD),
]

STOPPED_BY_THE_FILTER = [
    Request("a web page of another site", 403, "web pages of other sites", _of(), EVIL),
    Request(
        "the same without a type, which browsers send unasked",
        403,
        "web pages of other sites",
        json.dumps(_of()).encode(),
        EVIL,
    ),
    Request("a page without an origin", 403, "web pages of other sites", _of(), {"origin": "null"}),
    Request(
        "a browser's question before that",
        403,
        "web pages of other sites",
        None,
        EVIL | {"access-control-request-method": "POST"},
        "OPTIONS",
    ),
    Request(
        "a page that reads the list of runs",
        403,
        "web pages of other sites",
        {},
        EVIL,
        path="/api/flow_runs/filter",
    ),
    Request(
        "a page that makes a deployment",
        403,
        "web pages of other sites",
        {"name": "shell"},
        EVIL,
        path="/api/deployments/",
    ),
    Request(
        "a name of theirs that means 127.0.0.1",
        403,
        "goes by another name",
        _of(),
        {"host": "rebound.evil.example:4200"},
    ),
    Request("100 MB", 413, "at most 64 MB", b"x", JSON | {"content-length": "100000000"}),
    Request(
        "a body without an end",
        411,
        "Content-Length",
        b"x",
        JSON | {"transfer-encoding": "chunked"},
    ),
]

WITHOUT_THE_PASSWORD = [
    Request("no password", 401, "Unauthorized", _of()),
    Request(
        "a wrong one",
        401,
        "Unauthorized",
        _of(),
        {"authorization": "Basic bG9uZ3NjcmliZTpndWVzcw=="},
    ),
    Request("one as a token", 401, "Unauthorized", _of(), {"authorization": "Bearer longscribe"}),
    Request(
        "one in the address", 401, "Unauthorized", _of(), path=START + "?auth=longscribe:guess"
    ),
    Request("reading runs", 401, "Unauthorized", {}, path="/api/flow_runs/filter"),
    Request("reading transcripts", 401, "Unauthorized", {}, path="/api/artifacts/filter"),
    Request("reading settings", 401, "Unauthorized", method="GET", path="/api/admin/settings"),
    Request(
        "emptying the database",
        401,
        "Unauthorized",
        {"confirm": True},
        path="/api/admin/database/clear",
    ),
    Request(
        "a web page of another site, with the password",
        403,
        "web pages of other sites",
        _of(),
        EVIL | {"authorization": "{password}"},
    ),
]

# Through nginx.conf, with a caller's own name and password but for the first.
BY_A_CALLER = [
    Request("no password", 401, "", _of()),
    Request("another's password", 401, "", _of(), {"authorization": "Basic Z3Vlc3Q6Z3Vlc3Q="}),
    Request("a deployment of one's own", 403, "", {"name": "shell"}, path="/api/deployments/"),
    Request(
        "another command for all runs",
        403,
        "",
        {"base_job_template": {}},
        method="PATCH",
        path="/api/work_pools/longscribe",
    ),
    Request("another state for a run", 403, "", {}, path=f"{_A_RUN}/set_state"),
    Request("deleting a run", 403, "", method="DELETE", path=_A_RUN),
    Request("reading the stored addresses", 403, "", {}, path="/api/block_documents/filter"),
    Request("reading settings", 403, "", method="GET", path="/api/admin/settings"),
    Request("a way round", 403, "", method="GET", path=f"{_A_RUN}/%2e%2e/%2e%2e/admin/settings"),
    Request("emptying the database", 403, "", {"confirm": True}, path="/api/admin/database/clear"),
    Request("2 MB", 413, "", _of(initial_prompt="x" * 2_000_000)),
]

_OUTSIDE = "is outside the media roots"
_KIND = "is not a kind of URL"
_PUBLIC = "is not a public address"

REFUSED_BY_THE_WORKER = [
    Run({"recording": "../secret.wav"}, _OUTSIDE),
    Run({"recording": "sub/../../secret.wav"}, _OUTSIDE),
    Run({"recording": "/etc/passwd"}, _OUTSIDE),
    Run({"recording": "{outside}/secret.wav"}, _OUTSIDE),
    Run({"recording": "{roots}-other/secret.wav"}, _OUTSIDE),
    Run({"recording": "link.wav"}, _OUTSIDE),
    Run({"recording": "linked/secret.wav"}, _OUTSIDE),
    Run({"recording": "circle.wav"}, _OUTSIDE),
    Run({"recording": "/proc/self/environ"}, _OUTSIDE),
    Run({"recording": "/dev/zero"}, _OUTSIDE),
    Run({"recording": "a\0.wav"}, "give the path of a recording"),
    Run({"recording": "playlist.wav"}, "cannot be read"),
    Run({"recording": "file:///etc/passwd"}, _KIND),
    Run({"recording": "FILE:///etc/passwd"}, _KIND),
    Run({"recording": "simplecache::file:///etc/passwd"}, _KIND),
    Run({"recording": "zip://a.wav::file:///etc/a.zip"}, _KIND),
    Run({"recording": "ftp://127.0.0.1/a.wav"}, _KIND),
    Run({"recording": "s3://other/a.wav"}, _OUTSIDE),
    Run({"recording": "memory://bucket/%2e%2e/other/a.wav"}, "has '..' in it"),
    Run({"recording": "https://me:password@example.org/a.wav"}, "there is a password in the URL"),
    Run({"recording": "http://127.0.0.1:4200/api/admin/settings"}, _PUBLIC),
    Run({"recording": "http://169.254.169.254/latest/meta-data/iam"}, _PUBLIC),
    Run({"recording": "http://0x7f000001/a.wav"}, _PUBLIC),
    Run({"recording": "http://[::ffff:127.0.0.1]/a.wav"}, _PUBLIC),
    Run({"recording": "a.wav", "output_dir": "/etc"}, _OUTSIDE),
    Run({"recording": "a.wav", "output_dir": "linked"}, _OUTSIDE),
    Run({"recording": "a.wav", "output_dir": "https://example.org/upload"}, "is a web address"),
    Run({"recording": "a.wav", "model": "/home/somebody/.ssh/id_rsa"}, _OUTSIDE),
    Run({"recording": "a.wav", "model": "linked/secret.pt"}, _OUTSIDE),
    Run({"recording": "a.wav", "model_dir": "/etc"}, _OUTSIDE),
    Run({"recording": "a.wav", "glossary": ["/etc/passwd"]}, _OUTSIDE),
    Run({"recording": "a.wav", "glossary": ["linked/secret.txt"]}, _OUTSIDE),
    Run({"recording": "a.wav", "hotwords": ["/etc/passwd"]}, _OUTSIDE),
    Run({"recording": "a.wav", "hotwords": ["x" * 101]}, "at most 100 characters"),
    Run({"recording": "a.wav", "speed": float("nan")}, "speed"),
    Run({"recording": "a.wav", "speed": 9}, "speed", {"enforce_parameter_schema": False}),
]

_SECRETS = {"Location": "http://169.254.169.254/latest/meta-data/iam"}
DOWNLOADS = [
    Download("a redirect to the cloud's own server", {"/a.wav": status(307, **_SECRETS)}, _PUBLIC),
    Download(
        "a redirect to this machine",
        {"/a.wav": status(302, Location="http://127.0.0.1/x")},
        _PUBLIC,
    ),
    Download(
        "a redirect to it in IPv6", {"/a.wav": status(302, Location="http://[::1]/x")}, _PUBLIC
    ),
    Download(
        "a redirect to it in decimal",
        {"/a.wav": status(302, Location="http://2130706433/x")},
        _PUBLIC,
    ),
    Download(
        "a redirect to a file",
        {"/a.wav": status(302, Location="file:///etc/passwd")},
        "redirected to a file:// URL",
    ),
    Download(
        "a circle of redirects", {"/a.wav": status(302, Location="/a.wav")}, "more than 5 redirects"
    ),
    Download(
        "more than is allowed, as it says",
        {"/a.wav": content(bytes(20_000_001))},
        "larger than the 20 MB",
    ),
    Download("more than is allowed, unsaid", {"/a.wav": endless}, "larger than the 20 MB"),
    Download(
        "a page instead of sound",
        {"/a.wav": content(b"<html>")},
        "is not a recording that FFmpeg can read",
    ),
]
