"""Sound made for tests: bursts of noise where speech would be, files in any container."""

import io
import wave
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt

RATE_HZ = 16_000


def bursts(spans: list[tuple[float, float]], duration_s: float, seed: int = 0):
    """float32 samples: loud noise within the spans (seconds), faint noise elsewhere."""
    random = np.random.default_rng(seed)
    samples = random.normal(0.0, 0.0005, round(duration_s * RATE_HZ))
    for start_s, end_s in spans:
        start, stop = round(start_s * RATE_HZ), round(end_s * RATE_HZ)
        samples[start:stop] += random.normal(0.0, 0.1, stop - start)
    return samples.astype(np.float32)


def write_pcm(path: Path, samples: npt.NDArray[np.float32]) -> Path:
    path.write_bytes((samples * 32767).astype("<i2").tobytes())
    return path


def write_sound(
    path: Path,
    samples: npt.NDArray[np.float32],
    codec: str | None = None,
    rate_hz: int = RATE_HZ,
    layout: str = "mono",
    picture: bool = False,
) -> Path:
    """Write 16 kHz mono samples to any container, at another rate and layout if asked."""
    with av.open(str(path), "w") as container:
        video = None
        if picture:
            video = container.add_stream("mpeg4", rate=5)
            video.width = video.height = 64
            video.pix_fmt = "yuv420p"
        stream = None
        if len(samples):
            stream = container.add_stream(codec or _codec(path), rate=rate_hz, layout=layout)
        if video is not None:
            black = av.VideoFrame.from_ndarray(np.zeros((64, 64, 3), np.uint8), format="rgb24")
            for number in range(10):
                black.pts = number
                container.mux(video.encode(black))
            container.mux(video.encode(None))
        if stream is not None:
            resampler = av.AudioResampler(
                format=stream.codec_context.format.name, layout=layout, rate=rate_hz
            )
            frame = av.AudioFrame.from_ndarray(samples.reshape(1, -1), "flt", "mono")
            frame.sample_rate = RATE_HZ
            for part in (frame, None):
                for out in resampler.resample(part):
                    container.mux(stream.encode(out))
            container.mux(stream.encode(None))
    return path


def _codec(path: Path) -> str:
    return {
        ".wav": "pcm_s16le",
        ".mp3": "mp3",
        ".m4a": "aac",
        ".mp4": "aac",
        ".flac": "flac",
        ".opus": "libopus",
        ".ogg": "libopus",
        ".webm": "libopus",
        ".mkv": "libopus",
    }[path.suffix]


def write_stereo(path: Path, left: npt.NDArray[np.float32], right: npt.NDArray[np.float32]) -> Path:
    """Write a WAV file of two channels, 16 kHz."""
    with wave.open(str(path), "wb") as file:
        file.setnchannels(2)
        file.setsampwidth(2)
        file.setframerate(RATE_HZ)
        both = np.stack([left, right], axis=1)
        file.writeframes(np.round(both * 32767).astype("<i2").tobytes())
    return path


def wav_bytes(seconds: float = 1.0) -> bytes:
    """A WAVE file of noise."""
    samples = np.random.default_rng(0).integers(-3000, 3000, int(16_000 * seconds), np.int16)
    file = io.BytesIO()
    with wave.open(file, "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(16_000)
        out.writeframes(samples.tobytes())
    return file.getvalue()
