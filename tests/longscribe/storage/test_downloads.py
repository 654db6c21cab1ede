"""Recordings from elsewhere; and what those ask for who should not have it."""

import ipaddress
import itertools
import socket
import sys
from collections import namedtuple
from pathlib import Path
from typing import Any

import fsspec
import httpx
import pytest

from longscribe.audio.recording import probe
from longscribe.errors import InputError, OptionError, OutputError, RecordingError, ResourceError
from longscribe.storage import downloads as sources
from longscribe.storage.access import Access
from longscribe.storage.ssrf_guard import PublicOnly, is_public
from longscribe.storage.uploads import check_destination, deliver
from longscribe.storage.uris import name_of, shown
from tests.longscribe.servers import Answer, content, endless, serving, status

LOCAL = Access(private_hosts=("127.0.0.1",))
DATA = bytes(range(256)) * 4000


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "_FIRST_PAUSE_S", 0.0)


def test_a_download_is_streamed_and_named_as_its_url(tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    with serving({"/a/Board%20meeting.mp3": content(DATA)}) as (url, _):
        path = sources.fetch(
            f"{url}/a/Board%20meeting.mp3?token=1",
            *(tmp_path, LOCAL, lambda *done: seen.append(done)),
        )
    assert path == tmp_path / "Board meeting.mp3"
    assert path.read_bytes() == DATA
    assert seen[-1] == (len(DATA), len(DATA))


def test_what_breaks_off_goes_on_where_it_was(tmp_path: Path) -> None:
    with serving({"/a.wav": content(DATA, breaks_after=300_000)}) as (url, asked):
        path = sources.fetch(f"{url}/a.wav", tmp_path, LOCAL)
    assert path.read_bytes() == DATA
    assert asked[0] == ("/a.wav", "")
    starts = [int(part.removeprefix("bytes=").rstrip("-")) for _, part in asked[1:]]
    assert len(starts) >= 3
    assert starts == sorted(set(starts))


def test_a_file_that_changed_meanwhile_is_fetched_from_its_start(tmp_path: Path) -> None:
    versions = itertools.chain(
        [content(b"old" * 100_000, breaks_after=200_000, etag='"old"')],
        itertools.repeat(content(DATA, etag='"new"')),
    )
    with serving({"/a.wav": lambda request: next(versions)(request)}) as (url, _):
        assert sources.fetch(f"{url}/a.wav", tmp_path, LOCAL).read_bytes() == DATA


def test_a_busy_server_is_asked_again(tmp_path: Path) -> None:
    answers = itertools.chain([status(503), status(429)], itertools.repeat(content(DATA)))
    with serving({"/a.wav": lambda request: next(answers)(request)}) as (url, _):
        assert sources.fetch(f"{url}/a.wav", tmp_path, LOCAL).read_bytes() == DATA


def test_redirects_are_followed_to_the_file(tmp_path: Path) -> None:
    answers = {"/old.wav": status(302, Location="/new.wav"), "/new.wav": content(DATA)}
    with serving(answers) as (url, _):
        path = sources.fetch(f"{url}/old.wav", tmp_path, LOCAL)
    assert (path.name, path.read_bytes()) == ("old.wav", DATA)


def test_the_host_is_named_and_the_checked_address_is_reached() -> None:
    with serving({"/host": lambda request: content(request.headers["Host"].encode())(request)}) as (
        url,
        _,
    ):
        port = url.rpartition(":")[2]
        with httpx.Client(transport=PublicOnly(["localhost"])) as client:
            assert client.get(f"http://localhost:{port}/host").text == f"localhost:{port}"


def test_file_systems_of_fsspec_are_read_and_written(tmp_path: Path) -> None:
    memory = fsspec.filesystem("memory")
    memory.pipe_file("/bucket/in/Meeting.ogg", DATA)
    path = sources.fetch("memory://bucket/in/Meeting.ogg", tmp_path, Access())
    assert (path.name, path.read_bytes()) == ("Meeting.ogg", DATA)
    check_destination("memory://bucket/out", "Meeting")
    written = deliver([path], "memory://bucket/out/", "Meeting")
    assert written == ["memory://bucket/out/Meeting/Meeting.ogg"]
    assert memory.cat_file("/bucket/out/Meeting/Meeting.ogg") == DATA
    assert [Path(name).name for name in memory.find("/bucket/out")] == ["Meeting.ogg"]


def test_a_destination_that_refuses_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def denied(*_: object, **__: object) -> None:
        raise PermissionError("403")

    monkeypatch.setattr(fsspec.get_filesystem_class("memory"), "pipe_file", denied)
    with pytest.raises(OutputError) as caught:
        check_destination("memory://bucket/out", "Meeting")
    assert str(caught.value) == (
        "the output folder 'memory://bucket/out' cannot be written: access is denied; "
        "choose another with --output-dir."
    )


def test_a_missing_library_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "s3fs", None)
    with pytest.raises(OptionError, match=r"pip install 'longscribe\[s3\]'"):
        sources.fetch("s3://bucket/a.wav", Path(), Access())


@pytest.mark.parametrize(
    ("place", "name"),
    [
        ("talks/Über uns.m4a", "Über uns.m4a"),
        ("https://host/a/b.mp3?x=/etc/c.wav#d", "b.mp3"),
        ("https://host/a%2F..%2Fb%00c.mp3", "b_c.mp3"),
        ("https://host/", "recording"),
        ("https://host/%2e%2e", "recording"),
        ("s3://bucket/talk.flac?versionId=3", "talk.flac"),
        ("http://[/a/b.mp3", "b.mp3"),  # not a URL; a run has its name before it is refused
        ("http://[", "["),
        ("https://host/" + "x" * 300 + ".mp3", "x" * 200 + ".mp3"),
    ],
)
def test_a_place_has_a_safe_name(place: str, name: str) -> None:
    assert name_of(place) == name


def test_messages_hold_no_secrets() -> None:
    assert shown("https://me:pw@host/a.wav?sig=1") == "'https://host/a.wav'"


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("8.8.8.8", True),
        ("2606:4700::1111", True),
        ("127.0.0.1", False),
        ("10.1.2.3", False),
        ("172.16.0.1", False),
        ("192.168.1.1", False),
        ("169.254.169.254", False),
        ("100.64.0.1", False),
        ("0.0.0.0", False),
        ("224.0.0.1", False),
        ("::1", False),
        ("::", False),
        ("fe80::1", False),
        ("fd00::1", False),
        ("::ffff:127.0.0.1", False),
        ("::ffff:8.8.8.8", True),
        ("64:ff9b::7f00:1", False),
        ("2002:7f00:1::", False),
    ],
)
def test_public_addresses(address: str, public: bool) -> None:
    assert is_public(ipaddress.ip_address(address)) is public


HOSTILE_SERVERS: list[tuple[str, dict[str, Answer], str]] = [
    (
        "a redirect to this machine",
        {"/a.wav": status(302, Location="http://127.0.0.2/x")},
        "public",
    ),
    (
        "a redirect to the cloud's own server",
        {"/a.wav": status(307, Location="http://169.254.169.254/latest/meta-data")},
        "public",
    ),
    ("a redirect to IPv6", {"/a.wav": status(302, Location="http://[::1]/x")}, "public"),
    ("a redirect in decimal", {"/a.wav": status(302, Location="http://2130706434/x")}, "public"),
    ("a redirect to a file", {"/a.wav": status(302, Location="file:///etc/passwd")}, "redirected"),
    ("a redirect to FTP", {"/a.wav": status(302, Location="ftp://127.0.0.1/x")}, "redirected"),
    ("a circle of redirects", {"/a.wav": status(302, Location="/a.wav")}, "more than 5 redirects"),
    ("a redirect to nowhere", {"/a.wav": status(302, Location="http://[/")}, "there is no host"),
    ("too much, as it says", {"/a.wav": content(bytes(2_000_000))}, "larger than the 1.5 MB"),
    ("too much, unsaid", {"/a.wav": endless}, "larger than the 1.5 MB"),
    ("nothing", {}, "answered 404 Not Found"),
    ("no entry", {"/a.wav": status(403)}, "answered 403 Forbidden"),
    ("always busy", {"/a.wav": status(503)}, "answered 503"),
    ("breaking off at once", {"/a.wav": content(DATA, breaks_after=0)}, "again and again"),
]


@pytest.mark.parametrize(
    ("answers", "words"),
    [row[1:] for row in HOSTILE_SERVERS],
    ids=[row[0] for row in HOSTILE_SERVERS],
)
def test_hostile_servers_are_refused(
    tmp_path: Path, answers: dict[str, Answer], words: str
) -> None:
    access = LOCAL.model_copy(update={"largest_download_bytes": 1_500_000})
    with serving(answers) as (url, _), pytest.raises(RecordingError) as caught:
        sources.fetch(f"{url}/a.wav", tmp_path, access)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1/a.wav",
        "http://localhost/a.wav",
        "http://127.1/a.wav",
        "http://0x7f000001/a.wav",
        "http://[::1]/a.wav",
        "http://[::ffff:127.0.0.1]/a.wav",
        "http://0.0.0.0/a.wav",
        "http://169.254.169.254/latest/meta-data/iam",
        "https://10.0.0.1/a.wav",
    ],
)
def test_private_addresses_are_refused(tmp_path: Path, url: str) -> None:
    with pytest.raises(RecordingError, match="is not a public address"):
        sources.fetch(url, tmp_path, Access())


@pytest.mark.parametrize("addresses", [["10.0.0.7"], ["8.8.8.8", "127.0.0.1"], ["fd00::7"]])
def test_names_that_resolve_to_private_addresses_are_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, addresses: list[str]
) -> None:
    def resolve(*_: object, **__: object) -> list[Any]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (a, 80)) for a in addresses]

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    with pytest.raises(RecordingError, match=r"'media\.example\.org' is not a public address"):
        sources.fetch("http://media.example.org/a.wav", tmp_path, Access())


def test_a_name_that_changes_its_address_is_looked_up_once(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    lookups: list[str] = []

    def resolve(host: str, *_: object, **__: object) -> list[Any]:
        lookups.append(host)
        address = "127.0.0.2" if len(lookups) == 1 else "127.0.0.1"
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, 80))]

    access = Access(private_hosts=("127.0.0.2",))  # what is checked; nobody listens there
    with serving({"/a.wav": content(DATA)}) as (url, _):
        monkeypatch.setattr(sources, "_MOST_TRIES", 1)
        monkeypatch.setattr(socket, "getaddrinfo", resolve)
        port = url.rpartition(":")[2]
        with pytest.raises(RecordingError, match="no connection"):
            sources.fetch(f"http://rebinding.example.org:{port}/a.wav", tmp_path, access)
    assert lookups[0] == "rebinding.example.org"


def test_a_full_disk_is_told_before_the_download(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    usage = namedtuple("usage", "total used free")(10, 9, 1)
    monkeypatch.setattr(sources.shutil, "disk_usage", lambda _: usage)
    with serving({"/a.wav": content(DATA)}) as (url, _), pytest.raises(ResourceError) as caught:
        sources.fetch(f"{url}/a.wav", tmp_path, LOCAL)
    assert "make room or set TMPDIR" in str(caught.value)


def test_a_server_that_only_drips_is_left(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(sources, "_SLOW_AFTER_S", 0.0)
    monkeypatch.setattr(sources, "_SLOWEST_BYTES_PER_S", 1e15)
    with serving({"/a.wav": content(DATA)}) as (url, _), pytest.raises(RecordingError) as caught:
        sources.fetch(f"{url}/a.wav", tmp_path, LOCAL)
    assert "too slowly" in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        "#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\n{secret}\n#EXT-X-ENDLIST\n",
        "ffconcat version 1.0\nfile '{secret}'\n",
    ],
    ids=["HLS", "concat"],
)
def test_a_playlist_is_no_recording(tmp_path: Path, text: str) -> None:
    secret = tmp_path / "secret.wav"
    secret.write_bytes((Path(__file__).parents[1] / "jfk.opus").read_bytes())
    playlist = tmp_path / "upload.wav"
    playlist.write_text(text.format(secret=secret.name), encoding="utf-8")
    with pytest.raises(InputError):
        probe(playlist)
