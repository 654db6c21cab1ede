"""Recordings joined on to others: chained Ogg, MP3, ADTS and FLAC one after the other."""

import itertools
from pathlib import Path

import av
import pytest

from longscribe.audio.ogg_links import ogg_links
from tests.heard import Heard, Spans, are_near, ffmpeg_hears, hear, tones
from tests.sounds import RATE_HZ, write_sound

LENGTH_S = 2.0
SPAN = (0.6, 1.2)
SOUND = tones([SPAN], LENGTH_S)
Part = tuple[str, int, str]  # codec, rate, layout

OPUS: Part = ("libopus", 48_000, "mono")
OPUS_2: Part = ("libopus", 48_000, "stereo")
OPUS_8: Part = ("libopus", 8_000, "mono")
OPUS_24: Part = ("libopus", 24_000, "stereo")
OPUS_51: Part = ("libopus", 48_000, "5.1")
VORBIS: Part = ("vorbis", 44_100, "stereo")
VORBIS_48: Part = ("vorbis", 48_000, "stereo")
VORBIS_22: Part = ("vorbis", 22_050, "stereo")


def parts_of(folder: Path, suffix: str, parts: list[Part]) -> list[bytes]:
    contents = []
    for number, (codec, rate_hz, layout) in enumerate(parts):
        path = folder / f"{number}.{suffix}"
        if codec == "vorbis":  # FFmpeg's own encoder has to be asked for, and is for stereo alone
            with av.open(str(path), "w") as container:
                options = {"strict": "experimental"}
                stream = container.add_stream(codec, rate_hz, options, layout=layout)
                resampler = av.AudioResampler("fltp", layout, rate_hz)
                frame = av.AudioFrame.from_ndarray(SOUND.reshape(1, -1), "flt", "mono")
                frame.sample_rate = RATE_HZ
                for part in (frame, None):
                    for piece in resampler.resample(part):
                        container.mux(stream.encode(piece))
                container.mux(stream.encode(None))
        else:
            write_sound(path, SOUND, codec=codec, rate_hz=rate_hz, layout=layout)
        contents.append(path.read_bytes())
    return contents


def joined(folder: Path, suffix: str, parts: list[Part]) -> Path:
    path = folder / f"all.{suffix}"
    path.write_bytes(b"".join(parts_of(folder, suffix, parts)))
    return path


def once_each(parts: int, length_s: float = LENGTH_S) -> Spans:
    return [(SPAN[0] + length_s * i, SPAN[1] + length_s * i) for i in range(parts)]


def assert_whole(heard: Heard, parts: int) -> None:
    assert are_near(heard.spans, once_each(parts), 0.05 + 0.1 * parts), heard.spans
    assert heard.audio.original_duration_s == pytest.approx(parts * LENGTH_S, abs=0.15 * parts)
    assert heard.audio.missing_s == 0.0
    assert heard.audio.damaged_packets == 0
    assert heard.audio.filled_s < 0.1


@pytest.mark.parametrize(
    "parts",
    [
        [VORBIS, VORBIS],
        [VORBIS, VORBIS_48],
        [VORBIS_48, VORBIS_22],
        [VORBIS_22, VORBIS, VORBIS_48],
        [OPUS, OPUS_2],
        [OPUS_8, OPUS],
        [OPUS_51, OPUS],
        [OPUS_2, OPUS_8, OPUS, OPUS_24],
        [OPUS, VORBIS],
        [VORBIS_22, OPUS],
        [VORBIS, OPUS_2, VORBIS_22, OPUS],
        [OPUS, VORBIS_48, OPUS_51],
    ],
)
def test_all_links_of_a_chain_are_heard(tmp_path: Path, parts: list[Part]) -> None:
    heard = hear(joined(tmp_path, "ogg", parts))
    assert_whole(heard, len(parts))
    if all(codec == "libopus" for codec, *_ in parts):  # FFmpeg's Vorbis has a wrong last time
        assert heard.recording.declared_duration_s == pytest.approx(len(parts) * LENGTH_S, abs=0.2)


@pytest.mark.parametrize("damage", [b"", bytes(1000), b"OggS" * 20, b"\xff" * 70_000])
@pytest.mark.parametrize("parts", [[OPUS, OPUS_2], [OPUS, VORBIS, OPUS_2]])
def test_damage_in_one_link_costs_no_other(
    tmp_path: Path, damage: bytes, parts: list[Part]
) -> None:
    first, *others = parts_of(tmp_path, "ogg", parts)
    half = first.rindex(b"OggS", 0, len(first) - 200)  # the beginning of its last pages
    path = tmp_path / "all.ogg"
    path.write_bytes(first[: half + 20] + damage + first[half + 90 :] + b"".join(others))
    assert len(ogg_links(path)) == len(parts)
    heard = hear(path)
    spans = heard.spans[-len(others) :]
    ends = [(a - heard.spans[0][0], b - heard.spans[0][0]) for a, b in spans]
    assert len(heard.spans) >= len(others)
    for (start_s, end_s), (after_s, _) in itertools.pairwise(ends):
        assert after_s - start_s == pytest.approx(LENGTH_S, abs=0.1)
        assert end_s - start_s == pytest.approx(0.6, abs=0.1)
    assert spans[-1][1] - spans[-1][0] == pytest.approx(0.6, abs=0.1)


MP3: Part = ("mp3", 44_100, "mono")
MP3_2: Part = ("mp3", 44_100, "stereo")
MP3_48: Part = ("mp3", 48_000, "stereo")
MP3_22: Part = ("mp3", 22_050, "mono")
MP3_8: Part = ("mp3", 8_000, "mono")
AAC: Part = ("aac", 48_000, "mono")
AAC_2: Part = ("aac", 48_000, "stereo")
AAC_24: Part = ("aac", 24_000, "mono")
AAC_8: Part = ("aac", 8_000, "mono")
FLAC: Part = ("flac", 32_000, "mono")
FLAC_2: Part = ("flac", 48_000, "stereo")
FLAC_8: Part = ("flac", 8_000, "mono")


@pytest.mark.parametrize(
    ("suffix", "parts"),
    [
        ("mp3", [MP3, MP3]),
        ("mp3", [MP3, MP3_2]),
        ("mp3", [MP3, MP3_48]),
        ("mp3", [MP3_48, MP3_22]),
        ("mp3", [MP3_22, MP3, MP3_8]),
        ("mp3", [MP3_8, MP3_48, MP3_22, MP3]),
        ("aac", [AAC, AAC_2]),
        ("aac", [AAC, AAC_24]),
        ("aac", [AAC_24, AAC]),
        ("aac", [AAC_8, AAC_2, AAC_24]),
        ("aac", [AAC_2, AAC_8, AAC, AAC_8]),
        ("flac", [FLAC, FLAC]),
        ("flac", [FLAC, FLAC_2]),
        ("flac", [FLAC_2, FLAC_8]),
        ("flac", [FLAC_8, FLAC_2, FLAC]),
    ],
)
def test_files_joined_one_after_the_other_are_heard(
    tmp_path: Path, suffix: str, parts: list[Part]
) -> None:
    assert_whole(hear(joined(tmp_path, suffix, parts)), len(parts))


@pytest.mark.parametrize("parts", [[MP3, MP3], [MP3_48, MP3_48, MP3_48]])
def test_joined_files_are_as_long_as_ffmpeg_hears_them(tmp_path: Path, parts: list[Part]) -> None:
    heard = hear(path := joined(tmp_path, "mp3", parts))
    theirs = ffmpeg_hears(path)
    if theirs is None:
        pytest.skip("FFmpeg's program is not there")
    assert len(heard.samples) == pytest.approx(len(theirs), abs=1700)
