"""nginx.conf as it is shipped, in front of a service of the tests; only ports and paths differ."""

import base64
import getpass
import shutil
import ssl
import subprocess
from pathlib import Path

import httpx

from longscribe import deployments
from tests.deployments.hostile import Request
from tests.deployments.served import Served, wait_for
from tests.ports import free_port

IS_INSTALLED = shutil.which("nginx") is not None
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
        self.tls = ssl.create_default_context(cafile=certificate)

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
        with httpx.Client(verify=self.tls, timeout=60) as client:
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
