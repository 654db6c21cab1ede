"""Where pyannote's community-1 comes from: the Hugging Face hub, or a folder that has it already.

The repository is gated, so it takes a token. It is fetched here, before anything slow, and workers
load it from its folder: they ask no network. Its weights are pickles, which run as code when they
are loaded: a folder is as much to be trusted as a program.
"""

import hashlib
import importlib.util
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, Final, NamedTuple

from longscribe.errors import ModelError
from longscribe.models import hub
from longscribe.models.checksums import kept_sha256
from longscribe.options.speakers import COMMUNITY
from longscribe.wording.catalog import translated
from longscribe.wording.system_errors import told

REPOSITORY: Final = "pyannote/speaker-diarization-community-1"
# It tells pyannoteAI of each recording's length and speakers (pyannote/audio/telemetry/metrics.py),
# unless this says no.
SENDS_NOTHING: Final = {"PYANNOTE_METRICS_ENABLED": "false"}

_CONFIG: Final = "config.yaml"
_SUFFIXES: Final = (".yaml", ".bin", ".npz", ".safetensors")
# Others of pyannote's send the recording to a service, or hear something else.
_PIPELINE: Final = "SpeakerDiarization"
# What it loads, and how its configuration names a folder beside it: all else, and what it does not
# name, workers would fetch from the hub.
_PARTS: Final = ("segmentation", "embedding", "plda")
_INSIDE: Final = "$model/"
_LOADED_WITHIN_S: Final = 300.0
_IMPORTED: Final = "imported"
_LOADS: Final = f"""
import sys
from pyannote.audio import Pipeline
print("{_IMPORTED}", flush=True)
Pipeline.from_pretrained(sys.argv[1])
"""


class CommunityWeights(NamedTuple):
    """The pipeline's folder, and the sha256 of all its files."""

    folder: Path
    sha256: str


def check_available(model: str) -> None:
    """Refuse a pipeline that cannot be had, before anything slow is started.

    Args:
        model: `community-1`, or the path of a folder.

    Raises:
        ModelError: the extra is not installed, the folder has no such pipeline, or the hub gives
            none.
    """
    _check_installed()
    if model != COMMUNITY:
        _check_folder(_folder_of(model))
    elif _here() is None:
        try:
            hub.check_access(REPOSITORY)
        except ModelError as error:
            raise _not_had(error) from None


def find_weights(model: str) -> CommunityWeights:
    """The pipeline's folder, fetched from the hub once.

    Args:
        model: `community-1`, or the path of a folder.

    Raises:
        ModelError: as `check_available`; it cannot be loaded; or the transfer fails.
    """
    _check_installed()
    folder = _here() if model == COMMUNITY else _folder_of(model)
    if folder is None:
        try:
            folder = hub.download_files(REPOSITORY, _SUFFIXES)
        except ModelError as error:
            raise _not_had(error) from None
    _check_folder(folder)
    _check_loaded(folder)
    digest = hashlib.sha256()
    for path in sorted(path for path in folder.rglob("*") if path.suffix in _SUFFIXES):
        digest.update(f"{path.relative_to(folder).as_posix()}\0{_sha256(path)}\0".encode())
    return CommunityWeights(folder.resolve(), digest.hexdigest())


def _check_installed() -> None:
    # Of a package that is not there, the one above it is not either.
    pyannote = importlib.util.find_spec("pyannote")
    if pyannote is None or importlib.util.find_spec("pyannote.audio") is None:
        raise ModelError(
            translated(
                "--diarization-model: community-1 needs pyannote.audio; "
                "pip install 'longscribe[community]' brings it."
            )
        )


def not_loaded(folder: Path, reason: str) -> ModelError:
    """The error for a pipeline that pyannote does not load."""
    return ModelError(
        translated("--diarization-model: {folder} cannot be loaded: {reason}.").format(
            folder=folder, reason=" ".join(reason.split()).rstrip(".")
        )
    )


def _check_loaded(folder: Path) -> None:
    """See that the pipeline can be loaded, in a process of its own: it takes seconds.

    It stands on torchaudio, whose build for other machines than torch's can be installed and not
    loaded; files may be damaged, or of another version: told now, and not after the chunks.
    """
    command = [sys.executable, "-P", "-W", "ignore", "-c", _LOADS, str(folder)]
    said = ""
    try:
        done = subprocess.run(
            command,
            env={**os.environ, **SENDS_NOTHING},
            capture_output=True,
            text=True,
            timeout=_LOADED_WITHIN_S,
            check=False,
        )
        if not done.returncode:
            return
        said, reason = done.stdout, "".join(done.stderr.strip().splitlines()[-1:])
    except subprocess.TimeoutExpired:
        reason = translated("no answer")
    if _IMPORTED in said:
        raise not_loaded(folder, reason)
    raise ModelError(
        translated(
            "--diarization-model: pyannote.audio cannot be imported ({reason}); install the "
            "torchaudio that goes with the torch that is here."
        ).format(reason=reason.rstrip("."))
    )


def _here() -> Path | None:
    """The pipeline in the hub's cache, if all of it is there."""
    folder = hub.snapshot_here(REPOSITORY)
    return folder if folder is not None and not _missing(folder) else None


def _folder_of(model: str) -> Path:
    return Path(model).expanduser()


def _check_folder(folder: Path) -> None:
    missing = _missing(folder)
    if missing:
        raise ModelError(
            translated(
                "--diarization-model: {folder} does not hold community-1 ({missing}); give "
                "built-in, community-1, or the folder of that pipeline."
            ).format(folder=folder, missing=missing)
        )


def _missing(folder: Path) -> str:
    """What a folder lacks to be the pipeline, in words; nothing where it is one."""
    import yaml

    try:
        content: Any = yaml.safe_load((folder / _CONFIG).read_text("utf-8"))
        name, values = str(content["pipeline"]["name"]), dict(content["pipeline"]["params"])
    except OSError as error:
        return f"{_CONFIG}: {told(error)}"
    except (ValueError, KeyError, TypeError, yaml.YAMLError):
        return translated("{file} describes no pipeline").format(file=_CONFIG)
    if name.rpartition(".")[2] != _PIPELINE:
        return translated("{file} describes {name}").format(file=_CONFIG, name=name)
    for part in _PARTS:
        place = str(values.get(part))
        if not place.startswith(_INSIDE):
            return translated("{file} does not name the weights of {part} in it").format(
                file=_CONFIG, part=part
            )
        inside = folder / place.removeprefix(_INSIDE)
        if not any(path.suffix in _SUFFIXES and path.is_file() for path in inside.glob("*")):
            return translated("the weights of {part} are not there").format(part=part)
    return ""


def _sha256(path: Path) -> str:
    try:
        return kept_sha256(path)
    except OSError as error:
        raise ModelError(
            translated("--diarization-model: {path} cannot be read: {reason}.").format(
                path=path, reason=told(error)
            )
        ) from None


def _not_had(error: ModelError) -> ModelError:
    """The hub's sentence with the option, and what does without the hub."""
    sentence = str(error).rstrip(".")
    return ModelError(
        translated(
            "--diarization-model: {sentence}; or give the folder of a copy, or built-in."
        ).format(sentence=sentence)
    )
