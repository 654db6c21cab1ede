import hashlib
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import whisper

from longscribe.errors import ModelError
from longscribe.models import names, weights
from longscribe.models.checkpoint import read_checkpoint
from longscribe.models.shapes import expected_shapes

CONTENT = weights.DEMO_CHECKPOINT.read_bytes()
SHA256 = hashlib.sha256(CONTENT).hexdigest()


class Mirror:
    """A server of weights on this machine that can misbehave."""

    def __init__(self) -> None:
        self.content = CONTENT
        self.break_after_bytes: int | None = None
        self.breaks = 0
        self.status = 200
        self.ranges: list[str | None] = []
        mirror = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                mirror.ranges.append(self.headers.get("Range"))
                start = 0
                if wanted := self.headers.get("Range"):
                    start = int(wanted.removeprefix("bytes=").rstrip("-"))
                body = mirror.content[start:]
                if mirror.status != 200:
                    self.send_error(mirror.status)
                    return
                self.send_response(206 if start else 200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                if mirror.breaks > 0:
                    mirror.breaks -= 1
                    body = body[: mirror.break_after_bytes]
                self.wfile.write(body)

            def log_message(self, *args: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_port}"


@pytest.fixture
def mirror(monkeypatch: pytest.MonkeyPatch) -> Iterator[Mirror]:
    mirror = Mirror()
    monkeypatch.setenv(names.MIRROR_VARIABLE, mirror.url)
    monkeypatch.setitem(names.OFFICIAL, "tiny", (SHA256, "tiny.pt"))
    yield mirror
    mirror.server.shutdown()
    mirror.server.server_close()


def test_official_names_and_digests_are_upstream_s() -> None:
    upstream = {name: tuple(url.split("/")[-2:]) for name, url in whisper._MODELS.items()}
    assert upstream == names.OFFICIAL


def test_download_is_checked_put_in_place_and_used_again(mirror: Mirror, tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    spec = weights.resolve_model("tiny", on_progress=lambda *now: seen.append(now))
    assert spec.path == tmp_path / "cache" / "whisper" / "tiny.pt"
    assert spec.path.read_bytes() == CONTENT
    assert (spec.sha256, spec.name) == (SHA256, "tiny")
    assert seen[-1] == (len(CONTENT), len(CONTENT))
    weights.resolve_model("tiny")
    assert len(mirror.ranges) == 1


def test_a_download_cut_off_goes_on_where_it_stopped(mirror: Mirror, tmp_path: Path) -> None:
    mirror.break_after_bytes, mirror.breaks = 1_000_000, 2
    spec = weights.resolve_model("tiny", str(tmp_path))
    assert mirror.ranges == [None, "bytes=1000000-", "bytes=2000000-"]
    assert spec.path.read_bytes() == CONTENT


def test_what_arrived_is_kept_for_the_next_run(mirror: Mirror, tmp_path: Path) -> None:
    (tmp_path / "tiny.part").write_bytes(CONTENT[:1_000_000])
    mirror.break_after_bytes, mirror.breaks = 0, 1
    with pytest.raises(ModelError, match="goes on from there"):
        weights.resolve_model("tiny", str(tmp_path))
    assert not (tmp_path / "tiny.pt").exists()
    assert weights.resolve_model("tiny", str(tmp_path)).path.read_bytes() == CONTENT
    assert mirror.ranges == ["bytes=1000000-"] * 2


def test_a_wrong_digest_leaves_nothing_behind(mirror: Mirror, tmp_path: Path) -> None:
    mirror.content = CONTENT[:-1] + b"!"
    with pytest.raises(ModelError, match="wrong sha256"):
        weights.resolve_model("tiny", str(tmp_path))
    assert not (tmp_path / "tiny.pt").exists()
    assert not (tmp_path / "tiny.part").exists()


def test_damaged_weights_in_the_cache_are_fetched_again(mirror: Mirror, tmp_path: Path) -> None:
    (tmp_path / "tiny.pt").write_bytes(CONTENT[:1000])
    assert weights.resolve_model("tiny", str(tmp_path)).path.read_bytes() == CONTENT


def test_two_runs_at_once_download_once(mirror: Mirror, tmp_path: Path) -> None:
    threads = [
        threading.Thread(target=weights.resolve_model, args=("tiny", str(tmp_path)))
        for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(mirror.ranges) == 1


def test_no_network_says_how_to_use_a_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(names.MIRROR_VARIABLE, "http://127.0.0.1:9")
    with pytest.raises(ModelError, match=r"no connection.*--model"):
        weights.resolve_model("turbo")


def test_a_refusing_server_is_named(mirror: Mirror) -> None:
    mirror.status = 404
    with pytest.raises(ModelError, match="answered 404"):
        weights.resolve_model("tiny")


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ModelError, match="--model-dir"):
        weights.resolve_model("tiny", str(tmp_path / "file" / "below"))


def test_unknown_names_list_the_known_ones() -> None:
    with pytest.raises(ModelError, match=r"demo, tiny\.en, tiny,.*turbo"):
        weights.resolve_model("huge")


def test_a_path_that_does_not_exist() -> None:
    with pytest.raises(ModelError, match="does not exist"):
        weights.resolve_model("/nowhere/model.pt")


def test_dims_without_torch_are_torch_s() -> None:
    import torch

    stored = torch.load(weights.DEMO_CHECKPOINT, weights_only=True)
    dims, shapes = read_checkpoint(weights.DEMO_CHECKPOINT)
    assert shapes == expected_shapes(dims)
    assert dims.model_dump() == stored["dims"]
    parameters = sum(tensor.numel() for tensor in stored["model_state_dict"].values())
    assert dims.parameters == pytest.approx(parameters, rel=0.01)


@pytest.mark.parametrize("damage", ["cut", "flipped", "text", "other zip", "evil pickle"])
def test_broken_checkpoints(tmp_path: Path, damage: str) -> None:
    import pickle
    import zipfile

    path = tmp_path / "model.pt"
    if damage == "cut":
        path.write_bytes(CONTENT[: len(CONTENT) // 2])
    elif damage == "flipped":
        half = len(CONTENT) // 2
        path.write_bytes(CONTENT[:half] + bytes(64) + CONTENT[half + 64 :])
        path.write_bytes(CONTENT[:half] + b"\xff" * 64 + CONTENT[half + 64 :])
    elif damage == "text":
        path.write_text("not a model")
    else:
        content = b"hello" if damage == "other zip" else pickle.dumps(exec)
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("archive/data.pkl", content)
    with pytest.raises(ModelError, match="damaged or not a Whisper checkpoint"):
        weights.resolve_model(str(path))
