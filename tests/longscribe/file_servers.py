"""Servers for the URLs of buckets and other machines: real protocols, on this machine."""

import asyncio
import threading
import uuid
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from pathlib import Path

import pytest


@contextmanager
def sftp_server(folder: Path, environment: pytest.MonkeyPatch) -> Iterator[str]:
    """An SSH server for whoever has the key in HOME; the URL of `served/shared` in the folder."""
    asyncssh = pytest.importorskip("asyncssh", reason="make test-service installs it")
    pytest.importorskip("paramiko", reason="make test-service installs it")
    served = folder / "served"
    keys = folder / "home" / ".ssh"
    (served / "shared").mkdir(parents=True)
    keys.mkdir(parents=True)
    key = asyncssh.generate_private_key("ssh-ed25519")
    key.write_private_key(keys / "id_ed25519")
    key.write_public_key(keys / "id_ed25519.pub")
    environment.setenv("HOME", str(keys.parent))
    environment.delenv("SSH_AUTH_SOCK", raising=False)

    port: Future[int] = Future()
    stopped = threading.Event()
    connections = []

    class Door(asyncssh.SSHServer):
        def connection_made(self, connection) -> None:
            connections.append(connection)

    async def serve() -> None:
        listener = await asyncssh.listen(
            *("127.0.0.1", 0),
            server_factory=Door,
            server_host_keys=[asyncssh.generate_private_key("ssh-ed25519")],
            authorized_client_keys=str(keys / "id_ed25519.pub"),
            sftp_factory=lambda channel: asyncssh.SFTPServer(channel, chroot=bytes(served)),
        )
        port.set_result(listener.get_port())
        await asyncio.to_thread(stopped.wait)
        listener.close()
        await listener.wait_closed()
        for connection in connections:
            connection.abort()
            await connection.wait_closed()

    thread = threading.Thread(target=asyncio.run, args=[serve()])
    thread.start()
    try:
        yield f"sftp://me@127.0.0.1:{port.result(30)}/shared"
    finally:
        from fsspec.implementations.sftp import SFTPFileSystem

        for client in SFTPFileSystem._cache.values():
            client.client.close()
        SFTPFileSystem.clear_instance_cache()
        stopped.set()
        thread.join(30)


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
        bucket = f"recordings-{uuid.uuid4().hex}"  # the server's memory outlives it
        s3fs.S3FileSystem().mkdir(bucket)
        yield f"s3://{bucket}"
    finally:
        s3fs.S3FileSystem.clear_instance_cache()
        server.stop()
