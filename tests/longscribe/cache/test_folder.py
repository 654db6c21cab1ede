import os
import sys
import time
from pathlib import Path

import pytest

from longscribe.cache.folder import (
    CACHE_VARIABLE,
    cache_entries,
    cache_folder,
    clean_cache,
    mark_used,
)
from longscribe.cache.kernels import kernels_folder
from longscribe.engine.processor import set_up_numba

DAY_S = 86_400.0


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "kept"))


def entry(name: str, days: float, size_bytes: int = 100) -> Path:
    path = cache_folder() / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(bytes(size_bytes))
    used_s = time.time() - days * DAY_S
    os.utime(path, (used_s, used_s))
    return path


def left() -> set[str]:
    return {e.path.relative_to(cache_folder()).as_posix() for e in cache_entries()}


def test_an_empty_cache_has_nothing_to_clean() -> None:
    assert cache_entries() == []
    assert clean_cache(30, 1000) == []


def test_old_results_go_and_used_ones_stay() -> None:
    entry("results/ab/old.json", 31)
    mark_used(entry("results/ab/used.json", 31))
    entry("plans/new.json", 29)
    entry("weights/old.pt", 99)
    removed = clean_cache(30, 10_000)
    assert [e.path.name for e in removed] == ["old.json"]
    assert left() == {"results/ab/used.json", "plans/new.json", "weights/old.pt"}


def test_beyond_the_size_what_was_used_longest_ago_goes() -> None:
    for days in (1, 2, 3, 4):
        entry(f"results/ab/{days}.json", days)
    clean_cache(30, 200)
    assert left() == {"results/ab/1.json", "results/ab/2.json"}


def test_what_the_run_needs_stays_whatever_the_clock_says() -> None:
    needed, other = entry("results/ab/a.json", 4000), entry("results/ab/b.json", 4000)
    clean_cache(30, 0, spare=[needed])
    assert (needed.exists(), other.exists()) == (True, False)


def test_weights_are_cleaned_when_asked_and_locks_never() -> None:
    entry("weights/old.pt", 31)
    entry("weights/new.pt", 1)
    entry("weights/old.lock", 31)
    clean_cache(30, 10_000, weights_too=True)
    assert left() == {"weights/new.pt", "weights/old.lock"}


def test_kernels_of_versions_that_are_no_longer_used_go(monkeypatch: pytest.MonkeyPatch) -> None:
    entry("kernels/older/a.nbc", 31)
    current = entry("kernels/current/a.nbc", 31)
    entry("kernels/current/int8.compiled", 31)
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(current.parent))
    monkeypatch.delitem(sys.modules, "numba", raising=False)
    set_up_numba(kernels_folder())
    clean_cache(30, 10_000)
    kept = {"kernels/current/a.nbc", "kernels/current/int8.compiled"}
    assert left() == {"kernels/older/a.nbc", *kept}
    clean_cache(30, 10_000, weights_too=True)
    assert left() == kept


def test_what_killed_processes_left_goes() -> None:
    entry("weights/half.77.part", 1)
    entry("weights/at-work.78.part", 0)
    entry("results/ab/.x.json.79.tmp", 0)
    clean_cache(30, 10_000)
    assert left() == {"weights/at-work.78.part"}
