"""Servers for the URLs of buckets and other machines: real protocols, on this machine."""

import asyncio
import shutil
import socket
import subprocess
import threading
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import fsspec
import pytest

from longscribe.storage.uris import open_file_system
from tests.ports import free_port

_INSTALLED_BY = "make test-service installs it"


@contextmanager
def sftp_server(folder: Path, environment: pytest.MonkeyPatch) -> Iterator[str]:
    """An SSH server for whoever has the key in HOME; the URL of `served/shared` in the folder."""
    asyncssh = pytest.importorskip("asyncssh", reason=_INSTALLED_BY)
    pytest.importorskip("paramiko", reason=_INSTALLED_BY)
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

    class AnyoneMayEnter(asyncssh.SSHServer):
        def connection_made(self, connection) -> None:
            connections.append(connection)

    async def serve() -> None:
        listener = await asyncssh.listen(
            *("127.0.0.1", 0),
            server_factory=AnyoneMayEnter,
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
def mounted_server(folder: Path, environment: pytest.MonkeyPatch) -> Iterator[str]:
    """The same folder as a mount, as machines have one of a file server: where it is mounted."""
    if shutil.which("sshfs") is None:
        pytest.skip("sshfs is not installed (`apt-get install sshfs`)")
    mount = folder / "mount"
    mount.mkdir()
    with sftp_server(folder, environment) as url:
        address = urlsplit(url)
        key = folder / "home" / ".ssh" / "id_ed25519"
        key.chmod(0o600)
        options = {
            "IdentityFile": str(key),
            "IdentitiesOnly": "yes",
            "StrictHostKeyChecking": "no",
            "UserKnownHostsFile": "/dev/null",
            "LogLevel": "ERROR",
            "port": str(address.port),
        }
        given = [part for name, value in options.items() for part in ("-o", f"{name}={value}")]
        where = f"{address.username}@{address.hostname}:{address.path}"
        subprocess.run(["sshfs", where, str(mount), *given], check=True, timeout=60)
        try:
            yield str(mount)
        finally:
            subprocess.run(["fusermount", "-u", str(mount)], check=True, timeout=60)


@contextmanager
def s3_server(environment: pytest.MonkeyPatch) -> Iterator[str]:
    """An S3 server with one bucket; the bucket's URL."""
    moto = pytest.importorskip("moto.server", reason=_INSTALLED_BY)
    s3fs = pytest.importorskip("s3fs", reason=_INSTALLED_BY)
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


@contextmanager
def gs_server(environment: pytest.MonkeyPatch) -> Iterator[str]:
    """An emulator of Google's storage with one bucket; the bucket's URL."""
    # Before gcsfs is imported: it would ask over gRPC what kind of bucket it is, which the emulator
    # does not speak.
    environment.setenv("GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT", "false")
    emulator = pytest.importorskip("gcp_storage_emulator.server", reason=_INSTALLED_BY)
    gcsfs = pytest.importorskip("gcsfs", reason=_INSTALLED_BY)
    port = free_port()
    server = emulator.create_server("127.0.0.1", port, in_memory=True)
    server.start()
    environment.setenv("STORAGE_EMULATOR_HOST", f"http://127.0.0.1:{port}")
    environment.setitem(fsspec.config.conf, "gs", {"token": "anon"})
    gcsfs.GCSFileSystem.clear_instance_cache()
    try:
        bucket = f"recordings-{uuid.uuid4().hex}"
        gcsfs.GCSFileSystem(token="anon").mkdir(bucket)
        yield f"gs://{bucket}"
    finally:
        gcsfs.GCSFileSystem.clear_instance_cache()
        server.stop()


@contextmanager
def az_server(environment: pytest.MonkeyPatch) -> Iterator[str]:
    """Azurite, Microsoft's own emulator, with one container; the container's URL."""
    program = shutil.which("azurite-blob")
    if program is None:
        pytest.skip("azurite is not installed; npm install azurite")
    adlfs = pytest.importorskip("adlfs", reason=_INSTALLED_BY)
    port = free_port()
    server = subprocess.Popen(
        [
            *(program, "--inMemoryPersistence", "--silent", "--skipApiVersionCheck"),
            *("--disableTelemetry", "--blobHost", "127.0.0.1", "--blobPort", str(port)),
        ]
    )
    environment.setenv(
        "AZURE_STORAGE_CONNECTION_STRING",
        # The account and the key that every Azurite has.
        "DefaultEndpointsProtocol=http;AccountName=devstoreaccount1;AccountKey=Eby8vdM02xNOcqFlqUwJPL"
        "lmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==;"
        f"BlobEndpoint=http://127.0.0.1:{port}/devstoreaccount1;",
    )
    adlfs.AzureBlobFileSystem.clear_instance_cache()
    try:
        while True:
            try:
                socket.create_connection(("127.0.0.1", port)).close()
                break
            except ConnectionRefusedError:
                assert server.poll() is None
                time.sleep(0.2)
        container = f"recordings-{uuid.uuid4().hex}"
        open_file_system(f"az://{container}", "--recording")[0].mkdir(container)
        yield f"az://{container}"
    finally:
        adlfs.AzureBlobFileSystem.clear_instance_cache()
        server.terminate()
        server.wait(timeout=30)
