import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from longscribe.errors import ModelError
from longscribe.speakers.community_weights import REPOSITORY, check_available, find_weights
from tests.longscribe.models.hub_server import Hub, Repo, hub_in_use, use_hub
from tests.longscribe.speakers.made_pyannote import PARTS, write_pipeline, write_pyannote

NOWHERE = "http://127.0.0.1:9"


@pytest.fixture(autouse=True)
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_pyannote(tmp_path / "packages", monkeypatch)
    use_hub(NOWHERE, tmp_path / "home", monkeypatch)


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    with hub_in_use(tmp_path / "home", monkeypatch) as served:
        yield served


def gated(server: Hub, folder: Path) -> Repo:
    """The repository, for who has its token."""
    write_pipeline(folder)
    files = {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }
    repo = server.repos[REPOSITORY] = Repo(
        files | {"README.md": b"about", "picture.png": b"seen"}, gated=True, token="hf_mine"
    )
    return repo


def sentence(action: Any, model: str = "community-1") -> str:
    with pytest.raises(ModelError) as refused:
        action(model)
    message = str(refused.value)
    assert "\n" not in message
    assert message.startswith("--diarization-model: ")
    assert message.endswith(".")
    return message


def test_it_is_fetched_once_with_the_token(
    server: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gated(server, tmp_path / "theirs")
    monkeypatch.setenv("HF_TOKEN", "hf_mine")
    check_available("community-1")
    assert not server.asked_for("config.yaml")
    found = find_weights("community-1")
    names = {p.relative_to(found.folder).as_posix() for p in found.folder.rglob("*") if p.is_file()}
    assert names == {"config.yaml", *(f"{part}/pytorch_model.bin" for part in PARTS)}
    server.asked.clear()
    check_available("community-1")
    assert find_weights("community-1") == found
    assert not server.asked


@pytest.mark.parametrize("action", [check_available, find_weights])
def test_without_a_token_or_accepted_terms_it_is_said_what_to_do(
    server: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, action: Any
) -> None:
    repo = gated(server, tmp_path / "theirs")
    for token in ("", "hf_others"):
        monkeypatch.setenv("HF_TOKEN", token)
        said = sentence(action)
        assert f"is gated: accept its terms at {server.url}/{REPOSITORY}, and give your" in said
        assert "HF_TOKEN or with `hf auth login`; or give the folder of a copy, or built-in" in said
    assert not server.asked_for("config.yaml")
    repo.token = ""
    assert "is gated" in sentence(action)


@pytest.mark.parametrize("action", [check_available, find_weights])
def test_a_hub_that_is_out_of_reach_is_told(monkeypatch: pytest.MonkeyPatch, action: Any) -> None:
    said = sentence(action)
    assert f"cannot be fetched from {NOWHERE} (no connection)" in said
    assert said.endswith("; or give the folder of a copy, or built-in.")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert "HF_HUB_OFFLINE forbids to fetch it" in sentence(action)


def test_half_a_copy_in_the_cache_is_completed(
    server: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gated(server, tmp_path / "theirs")
    monkeypatch.setenv("HF_TOKEN", "hf_mine")
    found = find_weights("community-1")
    shutil.rmtree(found.folder / "plda")
    assert find_weights("community-1") == found
    assert (found.folder / "plda" / "pytorch_model.bin").is_file()


def test_a_folder_is_taken_without_any_network(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    write_pipeline(tmp_path / "copy")
    check_available("~/copy")
    found = find_weights("~/copy")
    assert found.folder == tmp_path / "copy"
    (tmp_path / "copy" / "README.md").write_text("about")
    assert find_weights("~/copy") == found
    (tmp_path / "copy" / "plda" / "pytorch_model.bin").write_bytes(b"others")
    assert find_weights("~/copy").sha256 != found.sha256


@pytest.mark.parametrize("action", [check_available, find_weights])
@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"name": "pyannote.audio.pipelines.pyannoteai.sdk.SDK"}, "describes pyannote.audio.pip"),
        ({"segmentation": "pyannote/segmentation-3.0"}, "not name the weights of segmentation"),
        ({"plda": None}, "does not name the weights of plda"),
        ({"embedding": "$model/elsewhere"}, "the weights of embedding are not there"),
    ],
)
def test_other_pipelines_are_refused(
    tmp_path: Path, action: Any, changes: dict[str, Any], says: str
) -> None:
    folder = write_pipeline(tmp_path / "other", **changes)
    said = sentence(action, folder)
    assert f"{folder} does not hold community-1 (" in said
    assert says in said


@pytest.mark.parametrize("content", ["", "pipeline: []", "a: [", "\0", "pipeline: {name: a}"])
def test_a_configuration_that_is_none_is_refused(tmp_path: Path, content: str) -> None:
    Path(write_pipeline(tmp_path / "other"), "config.yaml").write_text(content)
    assert "config.yaml describes no pipeline" in sentence(check_available, str(tmp_path / "other"))
    assert "No such file or directory" in sentence(check_available, str(tmp_path / "nowhere"))


def test_without_the_extra_it_is_said_how(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    assert "pip install 'longscribe[community]'" in sentence(check_available)


def test_a_package_that_cannot_be_imported_is_told_before_anything(tmp_path: Path) -> None:
    folder = write_pipeline(tmp_path / "copy")
    package = tmp_path / "packages" / "pyannote" / "audio" / "__init__.py"
    package.write_text("raise OSError('Could not load this library: _torchaudio.so')")
    said = sentence(find_weights, folder)
    assert "cannot be imported (OSError: Could not load this library: _torchaudio.so)" in said


def test_weights_that_cannot_be_loaded_are_told_before_anything(tmp_path: Path) -> None:
    folder = write_pipeline(tmp_path / "copy")
    package = tmp_path / "packages" / "pyannote" / "audio" / "__init__.py"
    package.write_text(package.read_text().replace("pipeline = cls()", "raise EOFError('empty')"))
    assert sentence(find_weights, folder).endswith("copy cannot be loaded: EOFError: empty.")
