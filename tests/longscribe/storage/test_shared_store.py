"""What several machines share: whole or not at all, in a folder and in buckets."""

import os
from collections.abc import Iterator
from pathlib import Path

import fsspec
import pytest

from longscribe.errors import OptionError, StoreError
from longscribe.storage.shared_store import SharedStore
from tests.longscribe.file_servers import mounted_server, s3_server, sftp_server

NAME = "results/ab/cdef.json"


@pytest.fixture(
    params=[
        "folder",
        "memory",
        pytest.param("s3", marks=pytest.mark.service),
        pytest.param("sftp", marks=pytest.mark.service),
        pytest.param("mount", marks=pytest.mark.service),
    ]
)
def place(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[str]:
    if request.param == "folder":
        (tmp_path / "shared").mkdir()
        yield str(tmp_path / "shared")
    elif request.param == "memory":
        yield f"memory://{tmp_path.name}/shared"
    elif request.param == "s3":
        with s3_server(monkeypatch) as bucket:
            yield f"{bucket}/shared"
    elif request.param == "mount":
        with mounted_server(tmp_path, monkeypatch) as mount:
            yield mount
    else:
        with sftp_server(tmp_path, monkeypatch) as machine:
            yield machine


def test_what_one_machine_writes_another_reads(place: str, tmp_path: Path) -> None:
    store = SharedStore(place)
    assert store.get(NAME) is None
    assert not store.has(NAME)
    store.put(NAME, b"first")
    store.put(NAME, b"second")
    other = SharedStore(place)
    assert other.has(NAME)
    assert other.get(NAME) == b"second"
    assert other.get(NAME, not_before_s=4e9) is None  # written before the year 2096
    other.remove(NAME)
    assert store.get(NAME) is None

    (tmp_path / "weights.pt").write_bytes(b"weights")
    store.put_file("weights/w.pt", tmp_path / "weights.pt")
    assert other.fetch_file("weights/w.pt", tmp_path / "copy.pt")
    assert (tmp_path / "copy.pt").read_bytes() == b"weights"
    assert not other.fetch_file("weights/none.pt", tmp_path / "none.pt")


@pytest.mark.parametrize("kept", [0, 10, 64, 66])
def test_half_an_object_counts_as_none(place: str, kept: int) -> None:
    store = SharedStore(place)
    store.put(NAME, b"the whole")
    system, root = store._system, store._root
    whole = system.cat_file(f"{root}/{NAME}")
    system.pipe_file(f"{root}/{NAME}", whole[:kept])
    with pytest.raises(ValueError, match="is not what was written"):
        SharedStore(place).get(NAME)


def test_in_a_folder_nothing_is_left_of_what_could_not_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = SharedStore(str(tmp_path))
    store.put(NAME, b"old")

    def full(*_: object) -> None:
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr(store._system, "mv", full)
    with pytest.raises(StoreError, match=r"cannot be used: .*space"):
        store.put(NAME, b"new")
    assert store.get(NAME) == b"old"
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == ["cdef.json"]


def test_a_share_that_is_not_mounted_is_not_made(tmp_path: Path) -> None:
    store = SharedStore(str(tmp_path / "mnt"))
    assert store.get(NAME) is None
    with pytest.raises(StoreError, match="does not exist"):
        store.put(NAME, b"content")
    assert not (tmp_path / "mnt").exists()


def test_none_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LONGSCRIBE_STORE", raising=False)
    assert SharedStore.from_environment() is None


@pytest.mark.parametrize(
    ("store", "roots", "words"),
    [
        ("https://example.org/store", "", "is a web address"),
        ("file:///store", "", "is not a kind of URL"),
        ("s3://me:secret@bucket", "", "there is a password"),
        ("memory://bucket/store", "memory://bucket", "inside the media roots"),
        ("/media/store", "/media", "inside the media roots"),
        ("/media", "/media", "inside the media roots"),
    ],
)
def test_places_that_are_refused(store: str, roots: str, words: str) -> None:
    environment = {"LONGSCRIBE_STORE": store, "LONGSCRIBE_MEDIA_ROOTS": roots}
    with pytest.raises(OptionError, match=words) as refused:
        SharedStore.from_environment(environment)
    assert "LONGSCRIBE_STORE" in str(refused.value)
    assert "secret@" not in str(refused.value)


def test_a_store_beside_the_media_roots_is_fine(tmp_path: Path) -> None:
    environment = {
        "LONGSCRIBE_STORE": str(tmp_path),
        "LONGSCRIBE_MEDIA_ROOTS": f"{tmp_path}/media:memory://bucket",
    }
    store = SharedStore.from_environment(environment)
    assert store is not None
    assert store.place == str(tmp_path)
    assert fsspec.filesystem("file").isdir(store.place)
