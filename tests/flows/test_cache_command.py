import os
import time
from pathlib import Path

import pytest

from longscribe.cache.folder import results_folder
from longscribe.flows.command_line import main


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LONGSCRIBE_CACHE", str(tmp_path / "kept"))


def ran(capfd: pytest.CaptureFixture[str], *arguments: str) -> tuple[object, str, str]:
    with pytest.raises(SystemExit) as caught:
        main(["cache", *arguments])
    return caught.value.code, *capfd.readouterr()


def test_it_lists_and_cleans(capfd: pytest.CaptureFixture[str]) -> None:
    for name, days in (("old", 40), ("new", 1)):
        path = results_folder() / "ab" / f"{name}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(bytes(1_000_000))
        used_s = time.time() - days * 86_400
        os.utime(path, (used_s, used_s))
    code, out, err = ran(capfd)
    assert (code, err) == (0, "")
    assert "2 file(s)     2.0 MB  results of finished chunks" in out
    code, out, _ = ran(capfd, "--clean")
    assert "Removed 1 file(s), 1.0 MB" in out
    assert "1 file(s)     1.0 MB  results of finished chunks" in out
    code, out, _ = ran(capfd, "--clean", "--keep-size", "1KB")
    assert "0 file(s)     0.0 MB  results of finished chunks" in out


def test_a_bad_size_is_refused_in_one_sentence(capfd: pytest.CaptureFixture[str]) -> None:
    code, _, err = ran(capfd, "--keep-size", "lots")
    assert code == 2
    assert err == ("longscribe: --keep-size: 'lots' is no size; write it like 4GB or 800MiB.\n")
