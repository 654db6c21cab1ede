"""Buckets and other machines over their real protocols: recordings, transcripts, an inbox."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from longscribe.errors import OptionError, RecordingError
from longscribe.inbox.folder import Inbox
from longscribe.storage.access import Access
from longscribe.storage.downloads import fetch
from longscribe.storage.uploads import check_destination, deliver
from longscribe.storage.uris import open_file_system
from tests.longscribe.file_servers import az_server, gs_server, s3_server, sftp_server

pytestmark = [
    pytest.mark.service,
    # aiohttp, in gcsfs and adlfs: they give it a megabyte at once.
    pytest.mark.filterwarnings("ignore:Sending a large body:ResourceWarning"),
]

DATA = bytes(range(256)) * 12_000  # more than one block


BUCKETS = {"s3": s3_server, "gs": gs_server, "az": az_server}


@pytest.fixture(params=["sftp", *BUCKETS])
def root(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[str]:
    """The URL of an empty folder or bucket."""
    bucket = BUCKETS.get(request.param)
    with bucket(monkeypatch) if bucket else sftp_server(tmp_path, monkeypatch) as url:
        yield url


def put(url: str, data: bytes) -> None:
    files, path = open_file_system(url, "--recording")
    files.makedirs(path.rpartition("/")[0], exist_ok=True)
    files.pipe_file(path, data)


def names(url: str) -> list[str]:
    files, path = open_file_system(url, "--recording")
    files.invalidate_cache()
    return sorted(name.removeprefix(f"{path.rstrip('/')}/") for name in files.find(path))


def test_a_recording_is_fetched(root: str, tmp_path: Path) -> None:
    put(f"{root}/in/Board meeting.mp3", DATA)
    seen: list[tuple[int, int]] = []
    file = fetch(
        f"{root}/in/Board meeting.mp3",
        *(tmp_path / "fetched", Access(), lambda *done: seen.append(done)),
    )
    assert (file.name, file.read_bytes()) == ("Board meeting.mp3", DATA)
    assert seen[-1] == (len(DATA), len(DATA))


def test_what_is_not_there_or_too_large_is_one_sentence(root: str, tmp_path: Path) -> None:
    put(f"{root}/in/a.mp3", DATA)
    with pytest.raises(RecordingError, match="it does not exist"):
        fetch(f"{root}/in/b.mp3", tmp_path / "fetched", Access())
    with pytest.raises(RecordingError, match="is a folder"):
        fetch(f"{root}/in", tmp_path / "fetched", Access())
    with pytest.raises(RecordingError, match="larger than the 1 MB"):
        fetch(f"{root}/in/a.mp3", tmp_path / "fetched", Access(largest_download_bytes=1_000_000))


def test_a_transcript_is_delivered(root: str, tmp_path: Path) -> None:
    check_destination(f"{root}/out/2026", "talk")
    assert names(root) == []
    file = tmp_path / "talk.txt"
    for text in ("first\n", "second\n"):  # a second run writes over the first
        file.write_text(text, encoding="utf-8")
        written = deliver([file], f"{root}/out/2026", "talk")
        assert written == [f"{root}/out/2026/talk/talk.txt"]
    assert names(root) == ["out/2026/talk/talk.txt"]
    files, path = open_file_system(written[0], "--output-dir")
    assert files.cat_file(path) == b"second\n"


def test_an_inbox_is_listed_read_and_cleared(root: str) -> None:
    for name in ("inbox/a.mp3", "inbox/team/b.mp3", "inbox/team/c.mp3.part", "inbox/.hidden.mp3"):
        put(f"{root}/{name}", DATA)
    box = Inbox(f"{root}/inbox")
    good, bad = box.recordings()
    assert [good.name, bad.name] == ["a.mp3", "team/b.mp3"]
    assert good.size_bytes == len(DATA)
    assert good.version
    assert box.recordings() == [good, bad]  # versions stay as long as files do
    assert box.digest(good) == box.digest(bad) != ""
    box.put_away(good, "move", "", failed=False)
    box.put_away(bad, "move", "why\n", failed=True)
    assert box.recordings() == []
    assert names(f"{root}/inbox") == [
        *(".hidden.mp3", "done/a.mp3", "failed/team/b.mp3", "failed/team/b.mp3.failed.txt"),
        "team/c.mp3.part",
    ]
    put(f"{root}/inbox/a.mp3", b"changed")
    (changed,) = box.recordings()
    assert changed.version != good.version


def test_sftp_without_a_key_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with sftp_server(tmp_path, monkeypatch) as url:
        monkeypatch.setenv("HOME", str(tmp_path))
        with pytest.raises(OptionError, match="cannot be opened") as caught:
            fetch(f"{url}/a.mp3", tmp_path / "fetched", Access())
    assert "\n" not in str(caught.value)
