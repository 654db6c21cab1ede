"""Times of the accelerated audio and times of the original recording."""

from pydantic import BaseModel, ConfigDict

from longscribe.audio.recording import SAMPLE_RATE_HZ, AcceleratedAudio


class Timeline(BaseModel):
    """Maps times by the two real sample counts, so nothing drifts however long the recording.

    Chunk index times chunk length, or a nominal speed, would add up an error per chunk
    (https://github.com/vllm-project/vllm/issues/32588 lost half a second each).
    """

    model_config = ConfigDict(frozen=True)

    original_samples: int
    accelerated_samples: int

    @classmethod
    def of(cls, audio: AcceleratedAudio) -> "Timeline":
        """The timeline of an accelerated recording."""
        return cls(original_samples=audio.original_samples, accelerated_samples=audio.samples)

    @property
    def original_duration_s(self) -> float:
        """Length of the recording in seconds."""
        return self.original_samples / SAMPLE_RATE_HZ

    @property
    def accelerated_duration_s(self) -> float:
        """Length of the accelerated audio in seconds."""
        return self.accelerated_samples / SAMPLE_RATE_HZ

    def to_original_s(self, accelerated_s: float) -> float:
        """A time in the accelerated audio as a time in the recording, clipped to its ends."""
        if self.accelerated_samples == 0:
            return 0.0
        original_s = accelerated_s * self.original_samples / self.accelerated_samples
        return min(max(original_s, 0.0), self.original_duration_s)
