"""A part of a recording in which voices are heard: one task of the run."""

from pathlib import Path

from pydantic import BaseModel, ConfigDict

from longscribe.audio.recording import SAMPLE_RATE_HZ
from longscribe.transcript import format_time
from longscribe.wording.catalog import translated


class Part(BaseModel):
    """A part of a recording, as it travels to a worker; by itself, the whole of it.

    Attributes:
        index: from 0.
        count: of parts.
        pcm_path: of int16 samples at 16 kHz, at the recording's own tempo.
        samples: of the recording.
    """

    model_config = ConfigDict(frozen=True)

    index: int
    count: int
    pcm_path: Path
    samples: int

    @property
    def start_sample(self) -> int:
        """Where it begins."""
        return 0

    @property
    def stop_sample(self) -> int:
        """Where it ends."""
        return self.samples

    @property
    def number(self) -> str:
        """Its number of how many, counted from one: `3 of 7`."""
        return translated("{number} of {count}").format(number=self.index + 1, count=self.count)

    @property
    def place(self) -> str:
        """Where it lies in the recording: `0:20:00-0:30:00`."""
        edges = (self.start_sample, self.stop_sample)
        return "-".join(format_time(edge / SAMPLE_RATE_HZ) for edge in edges)

    @property
    def label(self) -> str:
        """Its name in the Prefect UI: `voices 03 of 07, 0:20:00-0:30:00`."""
        digits = max(2, len(str(self.count)))
        return f"voices {self.index + 1:0{digits}d} of {self.count:0{digits}d}, {self.place}"
