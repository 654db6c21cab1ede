"""Sound that begins late or ends early, holes, and time stamps that leap, in every container."""

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from tests.heard import Spans, are_near, ffmpeg_hears, hear, loud_spans, tones
from tests.sounds import write_sound

SPANS = [(0.5, 1.0), (1.5, 2.0)]
LENGTH_S = 2.5
CODECS = {
    "mp4": "aac", "mov": "aac", "mkv": "libopus", "webm": "libopus", "ts": "aac",
    "ogg": "libopus", "flv": "aac", "m4a": "aac", "nut": "pcm_s16le", "avi": "mp3", "3gp": "aac",
}  # fmt: skip
PICTURED = ["mp4", "mov", "mkv", "ts", "nut", "3gp"]
Place = Callable[[float], float | None]  # when a packet of a time comes; None for never


def moved(spans: Spans, by_s: float) -> Spans:
    return [(start_s + by_s, end_s + by_s) for start_s, end_s in spans]


def recorded(
    path: Path,
    place: Place = lambda time_s: time_s,
    *,
    length_s: float = LENGTH_S,
    picture_s: float = 0.0,
    spans: Spans = SPANS,
    options: dict[str, str] | None = None,
    codec: str = "",
    form: str | None = None,
) -> Path:
    """A file whose packets of sound are moved to other times, or left out."""
    codec = codec or CODECS[path.suffix[1:]]
    rate_hz = 48_000 if codec != "mp3" else 44_100
    with av.open(str(path), "w", format=form, options=options or {}) as container:
        video = None
        if picture_s:
            video = container.add_stream("mpeg4", rate=10)
            video.width = video.height = 32
            video.pix_fmt = "yuv420p"
        sound = container.add_stream(codec, rate=rate_hz, layout="mono")
        packets = []
        if video is not None:
            for number in range(round(picture_s * 10)):
                black = av.VideoFrame.from_ndarray(np.zeros((32, 32, 3), np.uint8), format="rgb24")
                black.pts = number
                packets += video.encode(black)
            packets += video.encode(None)
        samples = tones(spans, length_s, rate_hz).reshape(1, -1)
        resampler = av.AudioResampler(
            sound.codec_context.format.name, "mono", rate_hz, sound.codec_context.frame_size or 960
        )
        frame = av.AudioFrame.from_ndarray(samples, "flt", "mono")
        frame.sample_rate, frame.pts, frame.time_base = rate_hz, 0, Fraction(1, rate_hz)
        pieces = [*resampler.resample(frame), *resampler.resample(None)]
        for packet in [*(p for piece in pieces for p in sound.encode(piece)), *sound.encode(None)]:
            time_s = place(float(packet.pts * packet.time_base))
            if time_s is not None:
                packet.pts = packet.dts = round(time_s / packet.time_base)
                packets.append(packet)
        packets.sort(key=lambda packet: float(packet.dts * packet.time_base))
        for packet in packets:
            container.mux(packet)
    return path


@pytest.mark.parametrize("suffix", PICTURED)
@pytest.mark.parametrize("late_s", [0.5, 3.0])
def test_sound_that_begins_after_the_picture(tmp_path: Path, suffix: str, late_s: float) -> None:
    path = recorded(
        tmp_path / f"a.{suffix}", lambda time_s: time_s + late_s, picture_s=late_s + LENGTH_S
    )
    heard = hear(path)
    assert are_near(heard.spans, moved(SPANS, late_s), 0.15), heard.spans
    assert heard.audio.filled_s == pytest.approx(late_s, abs=0.15)
    assert heard.audio.missing_s == 0.0


@pytest.mark.parametrize("suffix", PICTURED)
@pytest.mark.parametrize("picture_s", [0.5, 12.0])
def test_sound_longer_or_shorter_than_the_picture(
    tmp_path: Path, suffix: str, picture_s: float
) -> None:
    heard = hear(recorded(tmp_path / f"a.{suffix}", picture_s=picture_s))
    assert are_near(heard.spans, SPANS, 0.15), heard.spans
    assert heard.audio.original_duration_s == pytest.approx(LENGTH_S, abs=0.15)
    assert heard.audio.missing_s == 0.0


def with_hole(from_s: float, seconds: float) -> Place:
    """Packets of a time do not come; those behind keep theirs."""
    return lambda time_s: time_s if not from_s <= time_s < from_s + seconds else None


def paused(at_s: float, seconds: float) -> Place:
    """Nothing is lost; what follows comes later."""
    return lambda time_s: time_s if time_s < at_s else time_s + seconds


WITH_TIMES = ["mp4", "mkv", "webm", "ts", "ogg", "flv", "m4a", "mov", "nut"]


@pytest.mark.parametrize("suffix", WITH_TIMES)
@pytest.mark.parametrize("hole_s", [0.4, 5.0])
def test_a_hole_keeps_its_length(tmp_path: Path, suffix: str, hole_s: float) -> None:
    wanted = [SPANS[0], *moved(SPANS[1:], hole_s)]
    heard = hear(recorded(tmp_path / f"a.{suffix}", paused(1.2, hole_s)))
    assert are_near(heard.spans, wanted, 0.12), heard.spans
    assert heard.audio.filled_s == pytest.approx(hole_s, abs=0.12)
    assert heard.audio.missing_s == 0.0


@pytest.mark.parametrize("suffix", WITH_TIMES)
def test_packets_that_are_missing(tmp_path: Path, suffix: str) -> None:
    spans = [*SPANS, (4.5, 5.0)]
    path = recorded(tmp_path / f"a.{suffix}", with_hole(1.2, 2.6), length_s=5.5, spans=spans)
    heard = hear(path)
    assert are_near(heard.spans, [spans[0], spans[2]], 0.12), heard.spans
    assert heard.audio.original_duration_s == pytest.approx(5.5, abs=0.15)


@pytest.mark.parametrize(
    ("name", "form", "options"),
    [
        ("a.webm", "webm", {"live": "1"}),
        ("a.mkv", "matroska", {"live": "1"}),
        ("a.flv", "flv", {"flvflags": "no_duration_filesize"}),
        ("a.mp4", "mp4", {"movflags": "frag_keyframe+empty_moov+default_base_moof"}),
        ("a.mp4", "mp4", {"movflags": "frag_every_frame+empty_moov"}),
        ("a.ts", "mpegts", {}),
    ],
)
@pytest.mark.parametrize("holes", [1, 2])
def test_holes_in_streams_that_declare_nothing(
    tmp_path: Path, name: str, form: str, options: dict[str, str], holes: int
) -> None:
    def place(time_s: float) -> float:
        return time_s + 4 * (time_s >= 1.2) + 3 * (time_s >= 2.2) * (holes > 1)

    spans = [*SPANS, (2.6, 3.2)]
    path = recorded(tmp_path / name, place, length_s=3.6, spans=spans, form=form, options=options)
    heard = hear(path)
    wanted = [SPANS[0], *moved(SPANS[1:], 4), *moved(spans[2:], 7 if holes > 1 else 4)]
    assert are_near(heard.spans, wanted, 0.12), heard.spans
    assert heard.audio.missing_s == 0.0


def shifted(by_s: float, at_s: float = 1.2) -> Place:
    return lambda time_s: time_s + by_s * (time_s >= at_s)


def raw(path: Path, place: Place, **more: object) -> Path:
    """PCM in Matroska, whose time stamps may be anything."""
    return recorded(path, place, codec="pcm_s16le", **more)  # type: ignore[arg-type]


@pytest.mark.parametrize("is_live", [True, False])
@pytest.mark.parametrize("start_s", [0.0, 10.0, 5000.0])
def test_what_begins_at_another_time_than_zero(
    tmp_path: Path, start_s: float, is_live: bool
) -> None:
    """A part cut out of a stream begins when the stream was there, and with it the transcript."""
    options = {"live": "1"} if is_live else {}
    heard = hear(raw(tmp_path / "a.mkv", lambda time_s: time_s + start_s, options=options))
    assert are_near(heard.spans, SPANS), heard.spans
    assert heard.audio.filled_s == 0.0
    assert heard.audio.missing_s == 0.0


def ts_packets(content: bytes, by_ticks: int, at_ticks: int) -> bytes:
    """Move the time stamps of a transport stream from a time on, modulo 2**33."""
    parts = []
    for start in range(0, len(content), 188):
        part = bytearray(content[start : start + 188])
        payload = 4
        if part[3] & 0x20:  # adaptation field
            if part[4] >= 7 and part[5] & 0x10:  # clock reference
                base = int.from_bytes(part[6:11], "big") >> 7
                if base + 60_000 >= at_ticks:
                    base = (base + by_ticks) % 2**33
                    low = int.from_bytes(part[6:12], "big") & ((1 << 15) - 1)
                    part[6:12] = ((base << 15) | low).to_bytes(6, "big")
            payload = 5 + part[4]
        if part[1] & 0x40 and part[payload : payload + 3] == b"\0\0\1" and part[payload + 7] & 0x80:
            stamp = part[payload + 9 : payload + 14]
            pts = (stamp[0] >> 1 & 7) << 30 | (stamp[1] << 7 | stamp[2] >> 1) << 15
            pts |= stamp[3] << 7 | stamp[4] >> 1
            if pts >= at_ticks:
                pts = (pts + by_ticks) % 2**33
                part[payload + 9 : payload + 14] = bytes(
                    (
                        stamp[0] & 0xF1 | (pts >> 30 & 7) << 1,
                        pts >> 22 & 0xFF,
                        (pts >> 14 & 0xFE) | 1,
                        pts >> 7 & 0xFF,
                        (pts << 1 & 0xFE) | 1,
                    )
                )
        parts.append(bytes(part))
    return b"".join(parts)


@pytest.mark.parametrize("before_wrap_s", [0.5, 1.2, 2.0])
@pytest.mark.parametrize("hole_s", [0.0, 3.0])
def test_clocks_of_33_bits_that_go_round(
    tmp_path: Path, before_wrap_s: float, hole_s: float
) -> None:
    path = recorded(tmp_path / "a.ts", paused(1.2, hole_s))
    start = round(before_wrap_s * 90_000)
    path.write_bytes(ts_packets(path.read_bytes(), 2**33 - start, 0))
    heard = hear(path)
    wanted = [SPANS[0], *moved(SPANS[1:], hole_s)]
    assert are_near(heard.spans, wanted, 0.15), heard.spans
    assert heard.audio.missing_s == 0.0


@pytest.mark.parametrize("by_s", [-1.0, -30.0, 7 * 3600.0, 20 * 3600.0])
def test_a_transport_stream_whose_clock_leaps_keeps_all_its_sound(
    tmp_path: Path, by_s: float
) -> None:
    """A receiver that was set anew: no sound is lost, and no silence of hours made."""
    path = recorded(tmp_path / "a.ts")
    at = round(1.2 * 90_000)
    path.write_bytes(ts_packets(path.read_bytes(), round(by_s * 90_000), at))
    heard = hear(path)
    assert are_near(heard.spans, SPANS, 0.2), heard.spans
    assert heard.audio.missing_s == 0.0


@pytest.mark.parametrize("by_s", [-2.0, -30.0, 30_000.0])
def test_a_hole_behind_a_leap_is_a_hole(tmp_path: Path, by_s: float) -> None:
    """The clock leaps at 1.2 s, and at 2.2 s three seconds are missing."""
    spans = [*SPANS, (2.6, 3.2)]
    path = recorded(tmp_path / "a.ts", paused(2.2, 3.0), length_s=3.6, spans=spans)
    start = ts_packets(path.read_bytes(), 40 * 90_000, 0)
    path.write_bytes(ts_packets(start, round(by_s * 90_000), round(41.2 * 90_000)))
    heard = hear(path)
    assert are_near(heard.spans, [*SPANS, (5.6, 6.2)], 0.2), heard.spans
    assert heard.audio.missing_s == 0.0


@pytest.mark.parametrize("by_s", [30_000.0, 300_000.0])
@pytest.mark.parametrize("options", [{}, {"live": "1"}])
def test_a_declared_length_that_a_leap_made_is_not_missing(
    tmp_path: Path, by_s: float, options: dict[str, str]
) -> None:
    heard = hear(raw(tmp_path / "a.mkv", paused(1.2, by_s), options=options))
    assert are_near(heard.spans, SPANS, 0.12), heard.spans
    assert heard.audio.missing_s == 0.0


def edited(content: bytes, skipped_s: float, length_s: float | None) -> bytes:
    """An MP4 file whose last edit begins later in the track, and is so long."""
    place = content.index(b"elst") + 4
    count = int.from_bytes(content[place + 4 : place + 8], "big")
    at = place + 8 + 12 * (count - 1)  # duration by the film's clock, start by the track's
    scale = content.index(b"mvhd") + 16
    film_hz = int.from_bytes(content[scale : scale + 4], "big")
    length = int.from_bytes(content[at : at + 4], "big")
    start = int.from_bytes(content[at + 4 : at + 8], "big") + round(skipped_s * 48_000)
    length = length - round(skipped_s * film_hz) if length_s is None else round(length_s * film_hz)
    return content[:at] + length.to_bytes(4, "big") + start.to_bytes(4, "big") + content[at + 8 :]


@pytest.mark.parametrize("suffix", ["mp4", "mov", "m4a"])
@pytest.mark.parametrize(
    ("skipped_s", "length_s", "wanted"),
    [
        (0.0, None, SPANS),
        (0.3, None, moved(SPANS, -0.3)),
        (1.2, None, [(0.3, 0.8)]),
        (0.0, 1.7, [SPANS[0], (1.5, 1.7)]),
        (0.3, 1.0, [(0.2, 0.7)]),
    ],
)
def test_what_an_editor_cut_away_is_not_heard(
    tmp_path: Path, suffix: str, skipped_s: float, length_s: float | None, wanted: Spans
) -> None:
    """An edit list: the sound is still in the file."""
    path = recorded(tmp_path / f"a.{suffix}")
    path.write_bytes(edited(path.read_bytes(), skipped_s, length_s))
    heard = hear(path)
    assert are_near(heard.spans, wanted, 0.1), heard.spans
    assert heard.audio.missing_s == 0.0
    theirs = ffmpeg_hears(path) if suffix == "mp4" else None
    assert theirs is None or are_near(loud_spans(theirs), heard.spans, 0.1)


@pytest.mark.parametrize("suffix", ["mp3", "aac", "flac", "ogg"])
@pytest.mark.parametrize("share", [0.02, 0.2])
def test_damage_in_a_stream_costs_no_more_than_what_is_damaged(
    tmp_path: Path, suffix: str, share: float
) -> None:
    """Sound behind it stays where it was, as far as anything tells how much is lost."""
    path = tmp_path / f"a.{suffix}"
    write_sound(path, tones([*SPANS, (4.0, 5.0)], 5.5), codec=DAMAGED[suffix], rate_hz=48_000)
    content = bytearray(path.read_bytes())
    start, stop = round(0.4 * len(content)), round((0.4 + share) * len(content))
    content[start:stop] = np.random.default_rng(0).bytes(stop - start)
    path.write_bytes(content)
    heard = hear(path)
    length_s = heard.audio.original_duration_s
    assert heard.spans[-1][1] - heard.spans[-1][0] > 0.3
    assert length_s - heard.spans[-1][1] == pytest.approx(0.5, abs=0.15)
    assert length_s <= 5.7


DAMAGED = {"mp3": "mp3", "aac": "aac", "flac": "flac", "ogg": "libopus"}
