"""Headers that lie about how much there is: WAV and its relatives, MP3, FLAC, M4A, ADTS."""

import struct
from pathlib import Path

import av
import numpy as np
import pytest

from longscribe.errors import RecordingError
from tests.heard import are_near, ffmpeg_hears, hear, tones
from tests.sounds import RATE_HZ, write_sound

SPANS = [(0.5, 1.0), (3.5, 4.0)]
LENGTH_S = 5.0
SOUND = tones(SPANS, LENGTH_S)
BITS = 16
BYTES_PER_S = 2 * RATE_HZ
DATA = (SOUND * 32767).astype("<i2").tobytes()


def chunk(name: bytes, content: bytes, size: int | None = None) -> bytes:
    size = len(content) if size is None else size
    return name + struct.pack("<I", size & 0xFFFFFFFF) + content + b"\0" * (len(content) % 2)


FORMAT = chunk(b"fmt ", struct.pack("<HHIIHH", 1, 1, RATE_HZ, BYTES_PER_S, 2, BITS))
LIST = chunk(b"LIST", b"INFOINAM" + struct.pack("<I", 6) + b"a talk")
BEXT = chunk(b"bext", bytes(602))
JUNK = chunk(b"JUNK", bytes(28))
ODD = chunk(b"JUNK", bytes(29))
IXML = chunk(b"iXML", b"<BWFXML></BWFXML>" * 300)


def riff(*chunks: bytes, size: int | None = None, name: bytes = b"RIFF") -> bytes:
    content = b"WAVE" + b"".join(chunks)
    return name + struct.pack("<I", len(content) if size is None else size) + content


def data(size: int | None = None, content: bytes = DATA) -> bytes:
    return chunk(b"data", content, size)


def written(folder: Path, content: bytes, suffix: str = "wav") -> Path:
    path = folder / f"a.{suffix}"
    path.write_bytes(content)
    return path


@pytest.mark.parametrize(
    ("content", "is_undeclared"),
    [
        pytest.param(riff(FORMAT, data()), False, id="true"),
        pytest.param(riff(FORMAT, data(2 * BYTES_PER_S)), True, id="2 s"),
        pytest.param(riff(FORMAT, data(2 * BYTES_PER_S + 1)), True, id="odd"),
        pytest.param(riff(FORMAT, data(4)), True, id="4 bytes"),
        pytest.param(riff(FORMAT, data(0), size=0), False, id="zero"),
        pytest.param(riff(FORMAT, data(0xFFFFFFFF), size=0xFFFFFFFF), False, id="all ones"),
        pytest.param(riff(FORMAT, data(0x7FFFFFFF)), None, id="half of 32 bits"),
        pytest.param(riff(FORMAT, data(0xFFFFFFDB)), None, id="4 GB less a header"),
        pytest.param(riff(JUNK, BEXT, FORMAT, LIST, data()), False, id="chunks before"),
        pytest.param(riff(FORMAT, data(), LIST, IXML), False, id="chunks behind"),
        pytest.param(riff(ODD, FORMAT, ODD, data(), ODD), False, id="odd chunks"),
        pytest.param(riff(JUNK, BEXT, FORMAT, data(BYTES_PER_S)), True, id="bext, too little"),
        pytest.param(riff(BEXT, FORMAT, LIST, data(0), size=0), False, id="bext, zero"),
        pytest.param(riff(FORMAT, data(), size=36), False, id="RIFF too small"),
        pytest.param(riff(FORMAT, data(), size=1 << 30), False, id="RIFF too large"),
        pytest.param(riff(FORMAT, data(BYTES_PER_S), LIST), True, id="too little, LIST"),
        pytest.param(
            riff(chunk(b"fmt ", struct.pack("<HHIIHH", 1, 1, RATE_HZ, 0, 2, BITS)), data(2000)),
            True,
            id="no bytes a second",
        ),
        pytest.param(
            riff(chunk(b"fmt ", struct.pack("<HHIIHH", 1, 1, RATE_HZ, 999, 2, BITS)), data()),
            False,
            id="wrong bytes a second",
        ),
        pytest.param(
            riff(
                chunk(b"ds64", struct.pack("<QQQI", 0, len(DATA), 0, 0)),
                FORMAT, data(0xFFFFFFFF), size=0xFFFFFFFF, name=b"RF64",
            ),
            False,
            id="RF64",
        ),
        pytest.param(
            riff(
                chunk(b"ds64", struct.pack("<QQQI", 0, 0, 0, 0)),
                FORMAT, data(0xFFFFFFFF), size=0xFFFFFFFF, name=b"RF64",
            ),
            False,
            id="RF64, zero",
        ),
        pytest.param(
            riff(
                chunk(b"ds64", struct.pack("<QQQI", 0, BYTES_PER_S, 0, 0)),
                FORMAT, data(0xFFFFFFFF), size=0xFFFFFFFF, name=b"RF64",
            ),
            True,
            id="RF64, too little",
        ),
        pytest.param(
            riff(
                chunk(b"ds64", struct.pack("<QQQI", 0, len(DATA), 0, 0)),
                FORMAT, data(0xFFFFFFFF), LIST, IXML, size=0xFFFFFFFF, name=b"RF64",
            ),
            False,
            id="RF64, chunks behind",
        ),
    ],
)  # fmt: skip
def test_all_of_a_wav_is_heard(tmp_path: Path, content: bytes, is_undeclared: bool | None) -> None:
    heard = hear(written(tmp_path, content))
    assert are_near(heard.spans[:2], SPANS), heard.spans
    assert heard.audio.original_duration_s == pytest.approx(LENGTH_S, abs=0.2)
    if is_undeclared is not None:
        assert heard.recording.is_undeclared == is_undeclared
        assert heard.audio.missing_s == 0.0


@pytest.mark.parametrize("cut_s", [0.7, 2.0, 3.6])
@pytest.mark.parametrize("name", [b"RIFF", b"RF64"])
def test_a_wav_that_was_cut_says_so(tmp_path: Path, name: bytes, cut_s: float) -> None:
    is_long = name == b"RF64"
    ds64 = chunk(b"ds64", struct.pack("<QQQI", 0, len(DATA), 0, 0)) if is_long else JUNK
    whole = riff(ds64, FORMAT, data(0xFFFFFFFF if is_long else None), name=name)
    content = whole[: len(whole) - len(DATA) + round(cut_s * RATE_HZ) * 2]
    heard = hear(written(tmp_path, content))
    assert heard.audio.original_duration_s == pytest.approx(cut_s, abs=0.05)
    assert heard.audio.missing_s == pytest.approx(LENGTH_S - cut_s, abs=0.05)


W64_RIFF = bytes.fromhex("726966662e91cf11a5d628db04c10000")
W64_WAVE = bytes.fromhex("77617665f3acd3118cd100c04f8edb8a")
W64_FORMAT = bytes.fromhex("666d7420f3acd3118cd100c04f8edb8a")
W64_DATA = bytes.fromhex("64617461f3acd3118cd100c04f8edb8a")


def w64(size: int) -> bytes:
    body = W64_WAVE + W64_FORMAT + struct.pack("<Q", 40) + FORMAT[8:]
    body += W64_DATA + struct.pack("<Q", size) + DATA
    return W64_RIFF + struct.pack("<Q", 24 + len(body)) + body


def ieee80(value: int) -> bytes:
    exponent = value.bit_length() - 1
    return struct.pack(">HQ", 16383 + exponent, value << (63 - exponent))


def aiff(frames: int, size: int) -> bytes:
    comm = struct.pack(">hIh", 1, frames & 0xFFFFFFFF, BITS) + ieee80(RATE_HZ)
    big = np.frombuffer(DATA, "<i2").astype(">i2").tobytes()
    body = b"AIFFCOMM" + struct.pack(">I", len(comm)) + comm
    body += b"SSND" + struct.pack(">III", size, 0, 0) + big
    return b"FORM" + struct.pack(">I", len(body)) + body


def au(size: int) -> bytes:
    big = np.frombuffer(DATA, "<i2").astype(">i2").tobytes()
    return b".snd" + struct.pack(">IIIII", 28, size, 3, RATE_HZ, 1) + bytes(4) + big


def caf(size: int) -> bytes:
    desc = struct.pack(">d4sIIIII", RATE_HZ, b"lpcm", 2, 2, 1, 1, BITS)
    head = b"caff" + struct.pack(">HH", 1, 0) + b"desc" + struct.pack(">q", len(desc)) + desc
    return head + b"data" + struct.pack(">q", size) + bytes(4) + DATA


@pytest.mark.parametrize(
    ("content", "suffix"),
    [
        pytest.param(w64(24 + len(DATA)), "w64", id="W64"),
        pytest.param(w64(24), "w64", id="W64, nothing"),
        pytest.param(w64(24 + BYTES_PER_S), "w64", id="W64, too little"),
        pytest.param(w64(1 << 40), "w64", id="W64, too much"),
        pytest.param(aiff(len(SOUND), 8 + len(DATA)), "aiff", id="AIFF"),
        pytest.param(aiff(0, 0), "aiff", id="AIFF, nothing"),
        pytest.param(aiff(RATE_HZ, 8 + BYTES_PER_S), "aiff", id="AIFF, too little"),
        pytest.param(aiff(-1, 0xFFFFFFFF), "aiff", id="AIFF, all ones"),
        pytest.param(au(len(DATA)), "au", id="AU"),
        pytest.param(au(0xFFFFFFFF), "au", id="AU, unknown"),
        pytest.param(au(BYTES_PER_S), "au", id="AU, too little"),
        pytest.param(caf(4 + len(DATA)), "caf", id="CAF"),
        pytest.param(caf(-1), "caf", id="CAF, unknown"),
    ],
)
def test_relatives_of_wav_are_heard_as_ffmpeg_hears_them(
    tmp_path: Path, content: bytes, suffix: str
) -> None:
    path = written(tmp_path, content, suffix)
    try:
        heard = hear(path)
    except RecordingError:
        heard = None
    theirs = ffmpeg_hears(path)
    if theirs is not None and len(theirs):
        assert heard is not None
        assert heard.audio.original_duration_s == pytest.approx(len(theirs) / RATE_HZ, abs=0.02)
    if heard is not None and heard.audio.original_duration_s > 4:
        assert are_near(heard.spans, SPANS), heard.spans


def mp3(folder: Path, name: str = "whole", rate_hz: int = 44_100, **options: str) -> Path:
    """Of a bit rate that changes, with a Xing header, unless told otherwise."""
    path = folder / f"{name}.mp3"
    with av.open(str(path), "w", options=options) as container:
        stream = container.add_stream("mp3", rate=rate_hz, layout="mono")
        resampler = av.AudioResampler(stream.codec_context.format.name, "mono", rate_hz)
        frame = av.AudioFrame.from_ndarray(SOUND.reshape(1, -1), "flt", "mono")
        frame.sample_rate = RATE_HZ
        for part in (frame, None):
            for piece in resampler.resample(part):
                container.mux(stream.encode(piece))
        container.mux(stream.encode(None))
    return path


def xing(path: Path, frames: float, size: float = 1.0) -> Path:
    content = bytearray(path.read_bytes())
    place = next(content.find(name) for name in (b"Xing", b"Info") if content.find(name) >= 0)
    for at, factor in ((place + 8, frames), (place + 12, size)):
        value = int.from_bytes(content[at : at + 4], "big")
        content[at : at + 4] = round(value * factor).to_bytes(4, "big")
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("frames", [0.0, 0.1, 0.5, 0.9, 1.0])
@pytest.mark.parametrize("size", [0.5, 1.0])
def test_an_mp3_that_counts_too_few_frames(tmp_path: Path, frames: float, size: float) -> None:
    heard = hear(xing(mp3(tmp_path), frames, size))
    assert are_near(heard.spans, SPANS), heard.spans
    assert heard.audio.missing_s == 0.0


@pytest.mark.parametrize(
    "options", [{"write_xing": "0"}, {"write_xing": "0", "id3v2_version": "0"}]
)
def test_an_mp3_that_counts_nothing(tmp_path: Path, options: dict[str, str]) -> None:
    heard = hear(mp3(tmp_path, **options))
    assert are_near(heard.spans, SPANS), heard.spans
    assert heard.audio.original_duration_s == pytest.approx(LENGTH_S, abs=0.1)
    assert heard.audio.missing_s == 0.0


@pytest.mark.parametrize("samples", [0, 1000, 40_000, 80_000])
def test_a_flac_whose_header_counts_other_samples(tmp_path: Path, samples: int) -> None:
    path = write_sound(tmp_path / "a.flac", SOUND)
    content = bytearray(path.read_bytes())
    content[21] &= 0xF0  # 36 bits, the last of STREAMINFO's fifth 8 bytes
    content[22:26] = samples.to_bytes(4, "big")
    path.write_bytes(content)
    heard = hear(path)
    assert are_near(heard.spans, SPANS), heard.spans
    assert heard.audio.missing_s == 0.0


@pytest.mark.parametrize("share", [0.3, 0.5, 0.8])
@pytest.mark.parametrize(
    "options",
    [
        {"movflags": "faststart"},
        {"movflags": "frag_keyframe+empty_moov+default_base_moof", "frag_duration": "500000"},
        {},
    ],
)
def test_an_m4a_that_was_cut(tmp_path: Path, options: dict[str, str], share: float) -> None:
    path = tmp_path / "whole.m4a"
    noise = np.random.default_rng(0).normal(0, 0.1, len(SOUND)).astype(np.float32)
    with av.open(str(path), "w", format="mp4", options=options) as container:
        stream = container.add_stream("aac", rate=RATE_HZ, layout="mono")
        frame = av.AudioFrame.from_ndarray(noise.reshape(1, -1), "fltp", "mono")
        frame.sample_rate = RATE_HZ
        for part in (frame, None):
            container.mux(stream.encode(part))
    content = path.read_bytes()
    path.write_bytes(content[: round(len(content) * share)])
    if not options:  # its index was at the end
        with pytest.raises(RecordingError, match="cut off before its index"):
            hear(path)
        return
    heard = hear(path)
    assert heard.audio.original_duration_s == pytest.approx(LENGTH_S * share, abs=0.6)
    if options["movflags"] == "faststart":
        total_s = heard.audio.original_duration_s + heard.audio.missing_s
        assert total_s == pytest.approx(LENGTH_S, abs=0.1)
    else:  # a fragment knows nothing of those behind it
        assert heard.audio.missing_s == 0.0


@pytest.mark.parametrize(
    ("name", "codec"),
    [("a.aac", "aac"), ("a.ac3", "ac3"), ("a.mp3", "mp3"), ("a.opus", "libopus"), ("a.flac", "")],
)
@pytest.mark.parametrize("is_loud_first", [True, False])
def test_lengths_guessed_from_a_bit_rate_miss_nothing(
    tmp_path: Path, name: str, codec: str, is_loud_first: bool
) -> None:
    """A stream without a header is taken to be as dense everywhere as it is at its beginning."""
    noise = np.random.default_rng(0).normal(0, 0.2, 10 * RATE_HZ).astype(np.float32)
    noise[5 * RATE_HZ :] = 0
    path = write_sound(
        tmp_path / name, noise if is_loud_first else noise[::-1].copy(), codec=codec or "flac",
        rate_hz=48_000,
    )  # fmt: skip
    heard = hear(path)
    assert heard.audio.original_duration_s == pytest.approx(10.0, abs=0.1)
    assert heard.audio.missing_s == 0.0


@pytest.mark.parametrize(("frames", "size", "missing_s"), [(2.0, 1.0, 0.0), (2.0, 2.0, 5.0)])
def test_an_mp3_that_counts_too_many_frames(
    tmp_path: Path, frames: float, size: float, missing_s: float
) -> None:
    """Half of a file is missing only where its size says so as well."""
    heard = hear(xing(mp3(tmp_path), frames, size))
    assert are_near(heard.spans, SPANS), heard.spans
    assert heard.audio.missing_s == pytest.approx(missing_s, abs=0.1)
