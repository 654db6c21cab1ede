"""nginx.conf as it is shipped, in front of a server with a password."""

import base64
import getpass
import shutil
import ssl
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from longscribe import deployments
from tests.deployments.hostile import BY_A_CALLER, Request
from tests.deployments.served import Served, wait_for
from tests.ports import free_port

pytestmark = [
    pytest.mark.service,
    pytest.mark.timeout(400),
    pytest.mark.skipif(not shutil.which("nginx"), reason="nginx is not installed"),
]

NAME = "transcripts.example.org"
LIBRARY = "library.example.org"
CALLER = ("meetings", "a caller's password")


class Proxy:
    """nginx with the shipped file; only its ports and paths are others."""

    def __init__(self, folder: Path, served: Served) -> None:
        self.ports = {80: free_port(), 443: free_port(), 8443: free_port()}
        self._folder = folder
        login = base64.b64encode(":".join(served.login or ()).encode()).decode()
        (folder / "longscribe-login").write_text(
            f'proxy_set_header Authorization "Basic {login}";\n', encoding="utf-8"
        )
        (folder / "longscribe-callers").write_text(f"{CALLER[0]}:{_hash(CALLER[1])}\n")
        key, certificate = folder / f"{NAME}.key", folder / f"{NAME}.pem"
        subprocess.run(
            [
                *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1"),
                *("-subj", f"/CN={NAME}", "-addext"),
                f"subjectAltName=DNS:{NAME},DNS:{LIBRARY}",
                *("-keyout", key, "-out", certificate),
            ],
            check=True,
            capture_output=True,
        )
        text = (Path(deployments.__file__).parent / "nginx.conf").read_text(encoding="utf-8")
        for port, own in self.ports.items():
            text = text.replace(f"listen {port}", f"listen 127.0.0.1:{own}")
        text = text.replace("127.0.0.1:4200", f"127.0.0.1:{served.port}")
        text = text.replace("127.0.0.1:4201", f"127.0.0.1:{served.web_port}")
        text = text.replace("/etc/ssl/", f"{folder}/").replace("/etc/nginx/", f"{folder}/")
        (folder / "longscribe.conf").write_text(text, encoding="utf-8")
        kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        temporary = " ".join(f"{kind}_temp_path {folder}/{kind};" for kind in kinds)
        (folder / "nginx.conf").write_text(
            f"user {getpass.getuser()}; pid {folder}/pid; error_log stderr; events {{}}\n"
            f"http {{ access_log off; {temporary} include {folder}/longscribe.conf; }}\n"
        )
        self.certificate = certificate
        self._tls = ssl.create_default_context(cafile=certificate)

    def __enter__(self) -> "Proxy":
        self._log = (self._folder / "log").open("wb")
        self._process = subprocess.Popen(
            ["nginx", "-c", self._folder / "nginx.conf", "-g", "daemon off;"], stderr=self._log
        )
        wait_for((self._folder / "pid").exists, 30)
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait(timeout=30)
        self._log.close()

    def ask(self, port: int, request: Request, **headers: str) -> httpx.Response:
        """By the server's own name, as if it were in the DNS."""
        scheme = "http" if port == 80 else "https"
        with httpx.Client(verify=self._tls, timeout=60) as client:
            return client.request(
                request.method,
                f"{scheme}://127.0.0.1:{self.ports[port]}{request.path}",
                content=request.content,
                headers={"host": NAME, **headers, **request.headers},
                extensions={"sni_hostname": NAME},
            )


def _hash(password: str) -> str:
    made = subprocess.run(
        ["openssl", "passwd", "-apr1", password], capture_output=True, text=True, check=True
    )
    return made.stdout.strip()


def basic(user: str, password: str) -> str:
    return f"Basic {base64.b64encode(f'{user}:{password}'.encode()).decode()}"


@pytest.fixture(scope="module")
def proxy(exposed: Served, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxy]:
    with Proxy(tmp_path_factory.mktemp("nginx"), exposed) as proxy:
        yield proxy


def test_plain_http_is_sent_to_tls(proxy: Proxy) -> None:
    answer = proxy.ask(80, Request("", 301, method="GET", path="/api/health"))
    assert (answer.status_code, answer.headers["location"]) == (301, f"https://{NAME}/api/health")


def test_with_the_password_over_tls(proxy: Proxy, exposed: Served) -> None:
    assert exposed.login is not None
    request = Request("", 200, "", {}, path="/api/flow_runs/count")
    origin = f"https://{NAME}"  # as the UI's own page sends it
    json = {"content-type": "application/json", "origin": origin}
    assert proxy.ask(443, request, **json).status_code == 401
    login = basic(*exposed.login)
    assert proxy.ask(443, request, **json, authorization=login).status_code == 200
    json["origin"] = "https://evil.example"
    assert proxy.ask(443, request, **json, authorization=login).status_code == 403


@pytest.mark.parametrize("request_", BY_A_CALLER, ids=lambda request: request.what)
def test_callers_may_no_more_than_that(proxy: Proxy, exposed: Served, request_: Request) -> None:
    before = exposed.ask("flow_runs/count", flows={"name": {"any_": ["transcribe"]}})
    path = request_.path.format(transcribe=exposed.deployment())
    headers = {} if request_.what == "no password" else {"authorization": basic(*CALLER)}
    answer = proxy.ask(8443, request_._replace(path=path), **headers)
    assert answer.status_code == request_.status, answer.text
    assert exposed.ask("flow_runs/count", flows={"name": {"any_": ["transcribe"]}}) == before


def test_callers_start_a_run_and_see_it(proxy: Proxy, exposed: Served) -> None:
    json = {"content-type": "application/json", "authorization": basic(*CALLER)}
    named = Request("", 200, method="GET", path="/api/deployments/name/transcribe/transcribe")
    identifier = proxy.ask(8443, named, **json).json()["id"]
    body = {"parameters": {"recording": "nothing.wav"}}
    start = Request("", 201, "", body, path=f"/api/deployments/{identifier}/create_flow_run")
    answer = proxy.ask(8443, start, **json)
    assert answer.status_code == 201, answer.text
    seen = Request("", 200, method="GET", path=f"/api/flow_runs/{answer.json()['id']}")
    assert proxy.ask(8443, seen, **json).json()["parameters"]["recording"] == "nothing.wav"
    for kind in ("logs", "artifacts"):
        found = proxy.ask(8443, Request("", 200, "", {}, path=f"/api/{kind}/filter"), **json)
        assert found.status_code == 200, found.text
