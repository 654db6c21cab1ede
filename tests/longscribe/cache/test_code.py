"""A change of the code that decides a result is another name in the cache."""

import shutil
from pathlib import Path

import longscribe
from longscribe.cache.code import sources_sha256, versions_of

PACKAGE = Path(longscribe.__file__).parent
FOLDERS = ("decoding", "engine")


def test_a_changed_file_is_another_digest(tmp_path: Path) -> None:
    digests = []
    for changed in ("", "decoding/search.py", "engine/kernels.py", "outputs/formats.py"):
        package = tmp_path / (changed.replace("/", "-") or "plain")
        shutil.copytree(PACKAGE, package, ignore=shutil.ignore_patterns("*.pt", "__pycache__"))
        if changed:
            (package / changed).write_text((package / changed).read_text() + "# changed\n")
        digests.append(sources_sha256(FOLDERS, package))
    assert digests[0] == sources_sha256(FOLDERS) == digests[3]
    assert len(set(digests)) == 3


def test_a_file_that_comes_or_goes_is_another_digest(tmp_path: Path) -> None:
    digests = set()
    for name in ("a", "b"):
        package = tmp_path / name / "package"
        (package / "engine").mkdir(parents=True)
        (package / "engine" / f"{name}.py").write_text("x = 1\n")
        digests.add(sources_sha256(("engine",), package))
    assert len(digests) == 2


def test_versions_are_those_installed() -> None:
    import torch

    found = versions_of("torch")
    assert set(found) == {"torch"}
    # The package's version lacks the build's own part where the index has one build only.
    assert torch.__version__ == found["torch"] or torch.__version__.startswith(f"{found['torch']}+")
