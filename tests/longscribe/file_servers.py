"""Servers for the URLs of buckets and other machines: real protocols, on this machine."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest


@contextmanager
def sftp_server(folder: Path, environment: pytest.MonkeyPatch) -> Iterator[str]:
    """An SSH server that serves a folder to whoever has the key in HOME; the URL of its root."""
    asyncssh = pytest.importorskip("asyncssh", reason="make test-service installs it")
    pytest.importorskip("paramiko", reason="make test-service installs it")
    served = folder / "served"
    keys = folder / "home" / ".ssh"
    served.mkdir()
    keys.mkdir(parents=True)
    key = asyncssh.generate_private_key("ssh-ed25519")
    key.write_private_key(keys / "id_ed25519")
    key.write_public_key(keys / "id_ed25519.pub")
    environment.setenv("HOME", str(keys.parent))
    environment.delenv("SSH_AUTH_SOCK", raising=False)

    async def listen() -> Any:
        return await asyncssh.listen(
            *("127.0.0.1", 0),
            server_host_keys=[asyncssh.generate_private_key("ssh-ed25519")],
            authorized_client_keys=str(keys / "id_ed25519.pub"),
            sftp_factory=lambda channel: asyncssh.SFTPServer(channel, chroot=bytes(served)),
        )

    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    listener = asyncio.run_coroutine_threadsafe(listen(), loop).result(30)
    try:
        yield f"sftp://me@127.0.0.1:{listener.get_port()}"
    finally:
        asyncio.run_coroutine_threadsafe(_close(listener), loop).result(30)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


async def _close(listener: Any) -> None:
    listener.close()
    await listener.wait_closed()


@contextmanager
def s3_server(environment: pytest.MonkeyPatch) -> Iterator[str]:
    """An S3 server with one bucket; the bucket's URL."""
    moto = pytest.importorskip("moto.server", reason="make test-service installs it")
    s3fs = pytest.importorskip("s3fs", reason="make test-service installs it")
    server = moto.ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    for name, value in {
        "AWS_ENDPOINT_URL": f"http://{host}:{port}",
        "AWS_ACCESS_KEY_ID": "me",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
    }.items():
        environment.setenv(name, value)
    s3fs.S3FileSystem.clear_instance_cache()  # with the credentials of another test
    try:
        s3fs.S3FileSystem().mkdir("recordings")
        yield "s3://recordings"
    finally:
        s3fs.S3FileSystem.clear_instance_cache()
        server.stop()
