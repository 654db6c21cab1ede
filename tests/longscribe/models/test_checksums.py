import hashlib
import os
import shutil
import time
from pathlib import Path

import pytest

from longscribe.cache.folder import digests_folder
from longscribe.models import checksums as digests
from longscribe.models.checksums import kept_sha256


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[Path]:
    """The files that were read for their digest."""
    read: list[Path] = []

    def sha256_of(path: Path) -> str:
        read.append(path)
        return hashlib.sha256(path.read_bytes()).hexdigest()

    monkeypatch.setenv("LONGSCRIBE_CACHE", str(tmp_path / "kept"))
    monkeypatch.setattr(digests, "sha256_of", sha256_of)
    monkeypatch.setattr(digests, "_SETTLED_AFTER_S", -1.0)
    return read


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    path = tmp_path / "weights.pt"
    path.write_bytes(b"as they were trained")
    return path


def test_a_file_is_read_and_checked_once(weights: Path, reads: list[Path]) -> None:
    checked: list[Path] = []
    expected = hashlib.sha256(b"as they were trained").hexdigest()
    assert [kept_sha256(weights, checked.append) for _ in range(3)] == [expected] * 3
    assert reads == checked == [weights]


def test_a_changed_file_is_read_again_though_its_size_and_date_are_the_same(
    weights: Path, reads: list[Path]
) -> None:
    kept_sha256(weights)
    written_s = weights.stat().st_mtime
    weights.write_bytes(b"as they were damaged")
    os.utime(weights, (written_s, written_s))
    assert kept_sha256(weights) == hashlib.sha256(b"as they were damaged").hexdigest()
    assert len(reads) == 2


def test_a_copy_in_its_place_is_read(weights: Path, reads: list[Path], tmp_path: Path) -> None:
    kept_sha256(weights)
    shutil.copy2(weights, tmp_path / "copy")
    (tmp_path / "copy").replace(weights)
    kept_sha256(weights)
    assert len(reads) == 2


def test_what_fails_its_check_is_checked_again(weights: Path, reads: list[Path]) -> None:
    def refuse(path: Path) -> None:
        raise ValueError(path)

    for _ in range(2):
        with pytest.raises(ValueError, match="weights"):
            kept_sha256(weights, refuse)
    assert reads == []
    assert kept_sha256(weights)


def test_a_file_that_has_just_changed_may_change_again_within_its_clock_s_tick(
    weights: Path, reads: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(digests, "_SETTLED_AFTER_S", 3.0)
    kept_sha256(weights)
    assert not digests_folder().exists()
    now_s = time.time()
    monkeypatch.setattr("longscribe.models.checksums.time.time", lambda: now_s + 3.1)
    kept_sha256(weights)
    kept_sha256(weights)
    assert len(reads) == 2


def test_a_damaged_record_or_a_read_only_cache_costs_only_time(
    weights: Path, reads: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = kept_sha256(weights)
    (record,) = digests_folder().iterdir()
    record.write_text("{", encoding="utf-8")
    assert kept_sha256(weights) == expected
    (record,) = digests_folder().iterdir()
    record.unlink()

    def refuse(target: Path, content: bytes) -> None:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(digests, "replace_file", refuse)
    assert kept_sha256(weights) == expected
    assert len(reads) == 3
