import errno
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from longscribe.errors import ModelError
from longscribe.models import hub, hub_transfer
from longscribe.models.hub import cached, check_available, download, is_repo_id
from tests.longscribe.models.hub_server import Hub, hub_in_use

ID = "someone/whisper-dialect"
SMALL = ("config.json", "generation_config.json", "tokenizer.json", "preprocessor_config.json")
OTHERS = ("README.md", "flax_model.msgpack", "model.fp32-00001-of-00002.safetensors", "tf_model.h5")
INDEX = "model.safetensors.index.json"
SHARDS = ("model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors")
NOWHERE = "http://127.0.0.1:9"


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    with hub_in_use(tmp_path / "home", monkeypatch) as served:
        yield served


def sharded(server: Hub) -> None:
    repo = server.add(ID, *SMALL, *SHARDS, "pytorch_model.bin")
    repo.files[INDEX] = json.dumps({"weight_map": {"a": SHARDS[1], "b": SHARDS[0]}}).encode()


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def sentence(action, *arguments: object) -> str:
    with pytest.raises(ModelError) as caught:
        action(*arguments)
    message = str(caught.value)
    assert "\n" not in message
    assert message.endswith(".")
    return message


@pytest.mark.parametrize("name", ["openai/whisper-tiny", "a/b", "Some_One/v3.1-large_x"])
def test_owner_and_name_are_a_repository(name: str) -> None:
    assert is_repo_id(name)


@pytest.mark.parametrize(
    "name",
    [
        *("large-v3", "a/b/c", "./a/b", "./model", "../a", "/a", "/a/b", "~/model", "a/", "/"),
        *("a/b c", "a/--b", "a/b..c", "a/b-", "-a/b", "a/.b", "a/b.git", "ä/b", "a/b\n", ""),
        "https://a/b",
    ],
)
def test_other_names_are_none(name: str) -> None:
    assert not is_repo_id(name)


def test_a_folder_or_file_goes_before_a_repository(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("models").mkdir()
    assert is_repo_id("models/mine")
    Path("models/mine").touch()
    assert not is_repo_id("models/mine")


def test_only_what_is_needed_is_fetched(server: Hub) -> None:
    repo = server.add(ID, *SMALL, "model.safetensors", "pytorch_model.bin", *OTHERS)
    reported: list[tuple[int, int]] = []
    folder = download(ID, lambda *bytes_: reported.append(bytes_))
    assert names(folder) == {*SMALL, "model.safetensors"}
    assert all((folder / name).read_bytes() == repo.files[name] for name in names(folder))
    total_bytes = len(repo.files["model.safetensors"])
    assert reported[-1] == (total_bytes, total_bytes)
    assert cached(ID) == folder


@pytest.mark.parametrize("weights", ["pytorch_model.bin", "model.bin"])
def test_other_weights_are_taken_where_there_are_no_better(server: Hub, weights: str) -> None:
    server.add(ID, *SMALL, "vocabulary.txt", weights, *OTHERS)
    assert names(download(ID)) == {*SMALL, "vocabulary.txt", weights}


def test_what_is_here_is_not_fetched_again(server: Hub) -> None:
    server.add(ID, *SMALL, "model.safetensors")
    folder = download(ID)
    server.asked.clear()
    reported: list[tuple[int, int]] = []
    assert download(ID, lambda *bytes_: reported.append(bytes_)) == folder
    assert [path for _, path, _ in server.asked] == [f"/api/models/{ID}"]
    assert not reported


def test_a_cached_model_is_available_without_asking(server: Hub) -> None:
    server.add(ID, *SMALL, "model.safetensors")
    download(ID)
    server.asked.clear()
    check_available(ID)
    assert not server.asked


def test_one_question_tells_that_a_model_is_available(server: Hub) -> None:
    server.add(ID, *SMALL, "model.safetensors")
    check_available(ID)
    assert [path for _, path, _ in server.asked] == [f"/api/models/{ID}"]
    assert cached(ID) is None


def test_a_new_commit_is_fetched(server: Hub) -> None:
    repo = server.add(ID, *SMALL, "model.safetensors")
    before = download(ID)
    repo.commit = "f" * 40
    repo.files["model.safetensors"] = b"better"
    after = download(ID)
    assert after != before
    assert (after / "model.safetensors").read_bytes() == b"better"
    assert cached(ID) == after


def test_a_new_commit_that_cannot_be_fetched_leaves_the_old_one(server: Hub) -> None:
    repo = server.add(ID, *SMALL, "model.safetensors")
    before = download(ID)
    repo.commit = "f" * 40
    repo.files["model.safetensors"] = b"better"
    server.breaks_after = {"model.safetensors": 0}
    sentence(download, ID)
    assert cached(ID) == before


def test_a_broken_transfer_goes_on_where_it_broke(server: Hub) -> None:
    data = os.urandom(300_000)
    server.add(ID, *SMALL).files["model.safetensors"] = data
    server.breaks_after = {"model.safetensors": 200_000}
    folder = download(ID)
    assert (folder / "model.safetensors").read_bytes() == data
    assert server.asked_for("model.safetensors") == ["", "bytes=200000-"]


def test_the_next_try_goes_on_where_the_last_one_gave_up(
    server: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = os.urandom(300_000)
    server.add(ID, *SMALL).files["model.safetensors"] = data

    def pull_the_plug(_done_bytes: int, _total_bytes: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        download(ID, pull_the_plug)
    assert cached(ID) is None
    reported: list[tuple[int, int]] = []
    folder = download(ID, lambda *bytes_: reported.append(bytes_))
    assert (folder / "model.safetensors").read_bytes() == data
    first, second = server.asked_for("model.safetensors")
    assert first == ""
    assert reported[0][0] > int(second.removeprefix("bytes=").rstrip("-")) > 0
    assert reported[-1] == (300_000, 300_000)
    assert not [path for path in folder.parents[1].rglob("*.incomplete")]


def test_a_connection_that_brings_nothing_more_is_told(server: Hub) -> None:
    server.add(ID, *SMALL, "model.safetensors")
    server.breaks_after = {"model.safetensors": 0}
    assert "the connection broke off); what arrived is kept" in sentence(download, ID)
    assert cached(ID) is None


def test_damaged_weights_are_fetched_again(server: Hub, tmp_path: Path) -> None:
    repo = server.add(ID, *SMALL, "model.safetensors")
    folder = download(ID)
    blob = (folder / "model.safetensors").resolve()
    (folder / "model.safetensors").unlink()
    blob.rename(blob.with_name(f"{blob.name}.incomplete")).write_bytes(b"x")
    download(ID)
    assert (folder / "model.safetensors").read_bytes() == repo.files["model.safetensors"]


def test_shards_are_fetched_with_their_index(server: Hub) -> None:
    sharded(server)
    reported: list[tuple[int, int]] = []
    folder = download(ID, lambda *bytes_: reported.append(bytes_))
    assert names(folder) == {*SMALL, INDEX, *SHARDS}
    assert reported[-1][0] == reported[-1][1] > 0
    assert cached(ID) == folder
    (folder / SHARDS[1]).unlink()
    assert cached(ID) is None
    assert names(download(ID)) == {*SMALL, INDEX, *SHARDS}


def test_a_shard_that_is_missing_is_named(server: Hub) -> None:
    sharded(server)
    del server.repos[ID].files[SHARDS[0]]
    assert f"names {SHARDS[0]}" in sentence(download, ID)


def test_an_index_that_is_none_is_named(server: Hub) -> None:
    server.add(ID, *SMALL, INDEX)
    assert f"its {INDEX} is damaged" in sentence(download, ID)


@pytest.mark.parametrize("action", [check_available, download])
class TestRefusals:
    def test_no_such_repository(self, server: Hub, action) -> None:
        assert f"there is no model {ID} at {server.url}" in sentence(action, ID)

    def test_a_private_repository(self, server: Hub, action, monkeypatch) -> None:
        server.add(ID, *SMALL, "model.safetensors", private=True, token="hf_mine")
        assert "HF_TOKEN" in sentence(action, ID)
        monkeypatch.setenv("HF_TOKEN", "hf_mine")
        action(ID)

    @pytest.mark.parametrize("token", ["", "hf_mine"])
    def test_a_gated_repository(self, server: Hub, action, token: str, monkeypatch) -> None:
        server.add(ID, *SMALL, "model.safetensors", gated=True, token=token)
        said = sentence(action, ID)
        assert f"accept its terms at {server.url}/{ID}" in said
        assert "HF_TOKEN or with `hf auth login`" in said
        if token:
            monkeypatch.setenv("HF_TOKEN", token)
            action(ID)

    def test_no_weights_that_can_be_read(self, server: Hub, action) -> None:
        server.add(ID, "README.md", "config.json", "flax_model.msgpack", "ggml-base.bin")
        said = sentence(action, ID)
        assert "it holds flax_model.msgpack, ggml-base.bin, and what is read" in said

    def test_no_weights_at_all(self, server: Hub, action) -> None:
        server.add(ID, *SMALL, "README.md")
        assert "it holds README.md, config.json" in sentence(action, ID)
        server.repos[ID].files.clear()
        assert "it holds no files" in sentence(action, ID)

    def test_no_config(self, server: Hub, action) -> None:
        server.add(ID, "model.bin")
        assert "has no config.json" in sentence(action, ID)

    def test_another_kind_of_model(self, server: Hub, action) -> None:
        server.add(ID, *SMALL, "model.safetensors", model_type="bert")
        assert "one of the kind 'bert'" in sentence(action, ID)

    def test_a_model_that_does_not_say_its_kind(self, server: Hub, action) -> None:
        server.add(ID, *SMALL, "model.bin", model_type=None)
        action(ID)

    def test_no_connection(self, server: Hub, action, monkeypatch) -> None:
        monkeypatch.setenv("HF_ENDPOINT", NOWHERE)
        assert f"from {NOWHERE} (no connection)" in sentence(action, ID)

    @pytest.mark.parametrize(("code", "said"), [(503, "answered 503"), (429, "too many requests")])
    def test_a_hub_that_is_down(self, server: Hub, action, code: int, said: str) -> None:
        server.answers = code
        assert said in sentence(action, ID)

    def test_a_token_that_is_refused(self, server: Hub, action, monkeypatch) -> None:
        monkeypatch.setattr(
            "huggingface_hub.HfApi.model_info", lambda *_, **__: _raise_status(server, 401)
        )
        assert "does not accept the token" in sentence(action, ID)

    def test_offline_without_the_model(self, server: Hub, action, monkeypatch) -> None:
        monkeypatch.setenv("HF_HUB_OFFLINE", "1")
        assert "HF_HUB_OFFLINE" in sentence(action, ID)
        assert not server.asked


def _raise_status(server: Hub, code: int) -> None:
    from huggingface_hub import get_session
    from huggingface_hub.utils import hf_raise_for_status

    server.answers = code
    hf_raise_for_status(get_session().get(f"{server.url}/"))


@pytest.mark.parametrize("change", [("HF_HUB_OFFLINE", "1"), ("HF_ENDPOINT", NOWHERE)])
def test_a_model_that_is_here_needs_no_hub(
    server: Hub, change: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    server.add(ID, *SMALL, "model.safetensors")
    folder = download(ID)
    monkeypatch.setenv(*change)
    check_available(ID)
    assert download(ID) == folder == cached(ID)


def test_a_server_that_is_no_hub(server: Hub) -> None:
    server.answers = 204
    assert "does not answer like a Hugging Face hub; check HF_ENDPOINT" in sentence(download, ID)


def test_a_hub_that_does_not_answer(server: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{silent.getsockname()[1]}")
        monkeypatch.setattr(hub, "TIMEOUT_S", 0.2)
        monkeypatch.setattr(hub_transfer, "TIMEOUT_S", 0.2)
        assert "(it does not answer)" in sentence(check_available, ID)


def test_a_full_disk_is_told_before_the_weights_are_fetched(
    server: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.add(ID, *SMALL, "model.safetensors")
    full = shutil.disk_usage("/")._replace(free=3)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: full)
    assert "make room, or HF_HOME chooses" in sentence(download, ID)
    assert not server.asked_for("model.safetensors")


def test_a_disk_that_fills_is_told(server: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    server.add(ID, *SMALL, "model.safetensors")

    def fill(*_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    said = sentence(download, ID, fill)
    assert "No space left on device; HF_HOME chooses another folder." in said


def test_a_cache_that_cannot_be_written_is_named(
    server: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.add(ID, *SMALL, "model.safetensors")
    (tmp_path / "file").touch()
    monkeypatch.setenv("HF_HOME", str(tmp_path / "file"))
    assert f"cannot be kept in {tmp_path / 'file' / 'hub'}" in sentence(download, ID)


def run(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, **environment},
    )


def test_the_library_says_nothing_and_finds_the_model(server: Hub) -> None:
    server.add(ID, *SMALL, "model.safetensors")
    server.breaks_after = {"model.safetensors": 9}
    done = run(f"from longscribe.models.hub import download; print(download({ID!r}), end='')")
    assert (done.stdout, done.stderr) == (str(cached(ID)), "")
    code = f"from huggingface_hub import hf_hub_download as f; print(f({ID!r}, 'config.json'))"
    assert run(code, HF_HUB_OFFLINE="1").stdout == f"{cached(ID)}/config.json\n"


@pytest.mark.parametrize(
    "variables",
    [
        {},
        {"HF_HOME": "$HOME/a"},
        {"XDG_CACHE_HOME": "~/b"},
        {"HUGGINGFACE_HUB_CACHE": "~/c"},
        {"HF_HUB_CACHE": "$HOME/d", "HUGGINGFACE_HUB_CACHE": "~/c"},
    ],
)
def test_the_cache_is_where_the_library_has_it(variables: dict[str, str]) -> None:
    unset = "import os\nfor n in ('HF_HOME', 'XDG_CACHE_HOME'): os.environ.pop(n, 0)\n"
    code = (
        f"{unset}os.environ |= {variables}\n"
        "from huggingface_hub.constants import HF_HUB_CACHE\n"
        "from longscribe.models import hub_cache\n"
        "print(HF_HUB_CACHE == str(hub_cache.hub_folder()), HF_HUB_CACHE)\n"
    )
    assert run(code).stdout.startswith("True ")


def test_neither_the_library_nor_torch_is_imported_early() -> None:
    code = (
        "import sys; from longscribe.models import hub; hub.cached('a/b'); hub.is_repo_id('a/b')\n"
        "print({'torch', 'huggingface_hub'} & set(sys.modules))"
    )
    assert run(code).stdout == "set()\n"
