"""What a Whisper checkpoint says of itself, read without torch.

torch would load every tensor (3 GB for large) and itself (200 MB) into the parent process, which
needs only the dimensions and shapes. A checkpoint is a zip with a pickle of plain values and
references to tensors; the pickle is read with everything but those refused.
"""

import hashlib
import io
import pickle
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from pydantic import BaseModel, ConfigDict, ValidationError

from longscribe.errors import ModelError
from longscribe.wording.catalog import translated

_BLOCK_BYTES = 1 << 20
_DAMAGED = (
    *(zipfile.BadZipFile, pickle.UnpicklingError, EOFError, LookupError, OSError),
    *(ValidationError, TypeError, AttributeError, ValueError),
)


class ModelDims(BaseModel):
    """The dimensions of a Whisper model, as whisper/model.py's ModelDimensions names them."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    n_mels: int
    n_audio_ctx: int
    n_audio_state: int
    n_audio_head: int
    n_audio_layer: int
    n_vocab: int
    n_text_ctx: int
    n_text_state: int
    n_text_head: int
    n_text_layer: int

    @property
    def parameters(self) -> int:
        """Number of weights, counted from the dimensions (biases and norms left out: under 1 %)."""
        audio, text = self.n_audio_state, self.n_text_state
        encoder = 3 * self.n_mels * audio + 3 * audio**2 + self.n_audio_layer * 12 * audio**2
        decoder = (self.n_vocab + self.n_text_ctx) * text + self.n_text_layer * 16 * text**2
        return encoder + decoder + self.n_audio_ctx * audio

    @property
    def shallow(self) -> "ModelDims":
        """Those of the first layers alone."""
        return self.model_copy(update={"n_audio_layer": 1, "n_text_layer": 1})

    @property
    def is_multilingual(self) -> bool:
        """False for the .en models, told by their vocabulary as whisper/model.py does."""
        return self.n_vocab >= 51865

    @property
    def num_languages(self) -> int:
        """How many languages have a token, told by the vocabulary (whisper/model.py)."""
        return self.n_vocab - 51765 - int(self.is_multilingual)


def read_checkpoint(path: Path) -> tuple[ModelDims, dict[str, tuple[int, ...]]]:
    """The dimensions in a checkpoint of openai-whisper, and its weights' shapes by their names.

    Raises:
        ModelError: the file is no Whisper checkpoint, or a broken one.
    """
    try:
        content = _unpickled(path)
        return ModelDims(**content["dims"]), _shapes(content["model_state_dict"])
    except _DAMAGED as error:
        raise _broken(path) from error


def read_shapes(path: Path) -> dict[str, tuple[int, ...]]:
    """The shapes of the tensors that torch has saved as a dictionary, by their names.

    Raises:
        ValueError: the file is damaged, or something else.
    """
    try:
        return _shapes(_unpickled(path))
    except _DAMAGED as error:
        raise ValueError(f"{path} holds no tensors") from error


def _unpickled(path: Path) -> Any:
    with zipfile.ZipFile(path) as archive:
        names = [name for name in archive.namelist() if name.endswith("/data.pkl")]
        return _Unpickler(io.BytesIO(archive.read(names[0]))).load()


def _shapes(state: Any) -> dict[str, tuple[int, ...]]:
    return {name: one.shape for name, one in state.items() if isinstance(one, _Tensor)}


def check_integrity(path: Path) -> None:
    """Read the whole checkpoint against its own checksums.

    Raises:
        ModelError: a part of the file is damaged.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            damaged = archive.testzip()
    except (zipfile.BadZipFile, OSError, EOFError) as error:
        raise _broken(path) from error
    if damaged is not None:
        raise _broken(path)


def sha256_of(path: Path, on_progress: Callable[[int], None] | None = None) -> str:
    """The file's sha256 in hex; `on_progress` gets the bytes read so far."""
    digest = hashlib.sha256()
    done_bytes = 0
    with path.open("rb") as file:
        while block := file.read(_BLOCK_BYTES):
            digest.update(block)
            done_bytes += len(block)
            if on_progress:
                on_progress(done_bytes)
    return digest.hexdigest()


def _broken(path: Path) -> ModelError:
    return ModelError(
        translated(
            "the checkpoint {path!r} is damaged or not a Whisper checkpoint; "
            "copy it again, or name a model such as turbo."
        ).format(path=str(path))
    )


class _Reference:
    """Stands for a tensor or a storage: keeps nothing, so that nothing is loaded."""

    def __init__(self, *args: Any) -> None:
        pass

    def __setstate__(self, state: Any) -> None:
        pass


class _Tensor(_Reference):
    """Stands for a tensor; made as torch/_utils.py's `_rebuild_tensor_v2` makes one."""

    def __init__(self, storage: Any, offset: int, shape: tuple[int, ...], *args: Any) -> None:
        self.shape = tuple(map(int, shape))


def _of_parameter(tensor: Any, *args: Any) -> Any:
    """A tensor that is a module's parameter (torch/_utils.py, `_rebuild_parameter`)."""
    return tensor


_KNOWN: Final[dict[tuple[str, str], Any]] = {
    ("collections", "OrderedDict"): OrderedDict,
    ("torch._utils", "_rebuild_tensor_v2"): _Tensor,
    ("torch._utils", "_rebuild_parameter"): _of_parameter,
}


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) in _KNOWN:
            return _KNOWN[module, name]
        if module == "torch" or module.startswith("torch."):
            return _Reference
        raise pickle.UnpicklingError(f"{module}.{name} has no place in a checkpoint")

    def persistent_load(self, pid: Any) -> Any:
        return _Reference()
