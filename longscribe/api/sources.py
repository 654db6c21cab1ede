"""Whatever somebody holds a recording in, as a file that can be read more than once."""

import shutil
import tempfile
import wave
import weakref
from os import PathLike, fspath
from pathlib import Path
from typing import IO, Any, Final

import numpy as np
import numpy.typing as npt

from longscribe.audio.recording import Recording, probe
from longscribe.errors import OptionError
from longscribe.storage.access import Access
from longscribe.storage.downloads import fetch
from longscribe.storage.uris import is_url
from longscribe.wording.catalog import translated

_INT16_BYTES: Final = 2
_LARGEST_INT16: Final = 32767


class Held:
    """A recording on this machine's disk; what was made for it is gone with the last reference.

    Attributes:
        recording: as probed.
        name: that its outputs have.
        folder: for scratch files.
    """

    def __init__(
        self, source: Any, rate_hz: int | None = None, audio_track: int | None = None
    ) -> None:
        """Bring it here.

        Args:
            source: a path, a URL, a file object with `read`, samples (n,) or (n, channels), or a
                pydub AudioSegment.
            rate_hz: of samples.
            audio_track: number of the track that is wanted, from 1.

        Raises:
            OptionError: it is none of these, or samples come without their rate.
            RecordingError: it cannot be read.
        """
        self.folder = Path(tempfile.mkdtemp(prefix="longscribe-"))
        weakref.finalize(self, shutil.rmtree, self.folder, ignore_errors=True)
        self.recording: Recording = probe(self._path_of(source, rate_hz), audio_track)
        self.name = self.recording.path.name

    def _path_of(self, source: Any, rate_hz: int | None) -> Path:
        if isinstance(source, np.ndarray):
            return _as_wave(source, rate_hz, self.folder / "samples.wav")
        if rate_hz is not None:
            raise OptionError(
                translated("rate_hz: only samples in an array need it; leave it out.")
            )
        if isinstance(source, (str, PathLike)):
            place = str(fspath(source))
            if is_url(place):
                access = Access.from_environment()
                return fetch(access.allowed(place, "source"), self.folder / "fetched", access)
            return Path(place).expanduser()
        if hasattr(source, "export") and hasattr(source, "raw_data"):  # pydub's
            path = self.folder / "segment.wav"
            source.export(path, format="wav").close()
            return path
        if hasattr(source, "read"):
            return _copied(source, self.folder)
        raise OptionError(
            translated(
                "source: a {kind} is no recording; give a path, a URL, a file object, an array "
                "with rate_hz, or a pydub AudioSegment."
            ).format(kind=type(source).__name__)
        )


def _copied(file: IO[bytes], folder: Path) -> Path:
    name = getattr(file, "name", "")
    path = folder / (Path(name).name if isinstance(name, str) and name else "recording")
    with path.open("wb") as copy:
        block = file.read(1 << 20)
        if isinstance(block, str):
            raise OptionError(
                translated("source: the file gives text; open it in binary mode, 'rb'.")
            )
        while block:
            copy.write(block)
            block = file.read(1 << 20)
    return path


def _as_wave(samples: npt.NDArray[Any], rate_hz: int | None, path: Path) -> Path:
    """Samples as a WAV file of 16 bits: floats from -1 to 1, or integers of 16 bits."""
    if rate_hz is None or rate_hz <= 0:
        raise OptionError(translated("rate_hz: samples need their rate in hertz, such as 16000."))
    if samples.ndim not in (1, 2) or (samples.ndim == 2 and samples.shape[1] > samples.shape[0]):
        raise OptionError(
            translated("source: {shape} is no (samples,) or (samples, channels).").format(
                shape=samples.shape
            )
        )
    if np.issubdtype(samples.dtype, np.floating):
        limited = np.clip(np.nan_to_num(samples), -1.0, 1.0)
        samples = np.round(limited * _LARGEST_INT16).astype("<i2")
    elif samples.dtype != np.int16:
        raise OptionError(
            translated("source: samples are float or int16, not {kind}.").format(kind=samples.dtype)
        )
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1 if samples.ndim == 1 else samples.shape[1])
        file.setsampwidth(_INT16_BYTES)
        file.setframerate(rate_hz)
        file.writeframes(np.ascontiguousarray(samples, dtype="<i2").tobytes())
    return path
