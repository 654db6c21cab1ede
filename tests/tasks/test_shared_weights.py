"""Official weights go from machine to machine by the shared store."""

import hashlib
from pathlib import Path

import pytest

from longscribe.models import names, weights
from longscribe.tasks import shared_weights
from longscribe.tasks.shared_weights import bring_weights, leave_weights

WEIGHTS = b"weights of a model"
SHA256 = hashlib.sha256(WEIGHTS).hexdigest()


@pytest.fixture(autouse=True)
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A store, and an official model that no package or cache of this machine has."""
    for module in (names, weights, shared_weights):
        monkeypatch.setattr(module, "OFFICIAL", {"large-v1": (SHA256, "large-v1.pt")})
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    folder = tmp_path / "store"
    folder.mkdir()
    monkeypatch.setenv("LONGSCRIBE_STORE", str(folder))
    return folder


def test_from_one_machine_to_another(store: Path, tmp_path: Path) -> None:
    for machine in ("a", "b", "c"):
        (tmp_path / machine).mkdir()
    (tmp_path / "a" / "large-v1.pt").write_bytes(WEIGHTS)
    assert not bring_weights("large-v1", str(tmp_path / "b"))
    leave_weights("large-v1", str(tmp_path / "a"))
    assert bring_weights("large-v1", str(tmp_path / "b"))
    assert (tmp_path / "b" / "large-v1.pt").read_bytes() == WEIGHTS
    assert not bring_weights("large-v1", str(tmp_path / "b"))  # it is there

    (kept,) = store.rglob("large-v1.pt")
    kept.write_bytes(WEIGHTS[:5])
    assert not bring_weights("large-v1", str(tmp_path / "c"))
    assert not list((tmp_path / "c").iterdir())
    assert not kept.exists()


def test_other_models_and_no_store_are_left_alone(
    store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert not bring_weights("demo")
    leave_weights("demo")
    assert not list(store.iterdir())
    monkeypatch.delenv("LONGSCRIBE_STORE")
    assert not bring_weights("large-v1", str(tmp_path))
