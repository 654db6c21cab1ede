import shutil
from pathlib import Path

import pytest

from longscribe.cache.cut_plan import Plan, keep_plan, plan_path, read_plan

PLAN = Plan(samples=32_000, cuts=((16_000, True),), chunk_keys=("a", "b"))


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LONGSCRIBE_CACHE", str(tmp_path / "kept"))


def test_a_plan_is_found_again_for_a_copy_and_for_nothing_else(tmp_path: Path) -> None:
    recording = tmp_path / "a.wav"
    recording.write_bytes(bytes(200_000))
    path = plan_path(recording, 1.2, 10.0, "digest")
    keep_plan(path, PLAN)
    copy = shutil.copy(recording, tmp_path / "b.wav")
    assert read_plan(plan_path(Path(copy), 1.2, 10.0, "digest")) == PLAN
    others = [
        plan_path(recording, 1.0, 10.0, "digest"),
        plan_path(recording, 1.2, 5.0, "digest"),
        plan_path(recording, 1.2, 10.0, "other"),
    ]
    recording.write_bytes(bytes(199_999) + b"x")
    others.append(plan_path(recording, 1.2, 10.0, "digest"))
    assert [read_plan(other) for other in others] == [None] * 4


def test_a_damaged_plan_is_none(tmp_path: Path) -> None:
    path = tmp_path / "plan.json"
    keep_plan(path, PLAN)
    path.write_bytes(path.read_bytes()[:20])
    assert read_plan(path) is None


def test_a_folder_that_cannot_be_written_is_no_reason_to_stop(tmp_path: Path) -> None:
    (tmp_path / "kept").write_text("a file")
    keep_plan(tmp_path / "kept" / "plan.json", PLAN)
    assert read_plan(tmp_path / "kept" / "plan.json") is None
