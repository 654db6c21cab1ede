"""What an API caller may read and write, and what is refused."""

from pathlib import Path
from typing import Any

import pytest

from longscribe.errors import OptionError
from longscribe.options import check_options
from longscribe.storage.access import Access

# What an API caller may try. The media root holds a.wav, links out of it.
HOSTILE_PATHS = [
    {"recording": "../secret.wav"},
    {"recording": "sub/../../secret.wav"},
    {"recording": "/etc/passwd"},
    {"recording": "{outside}/secret.wav"},
    {"recording": "{roots}/../secret.wav"},
    {"recording": "link.wav"},
    {"recording": "linked/secret.wav"},
    {"recording": "circle.wav"},
    {"recording": "circle.wav/../linked/secret.wav"},
    {"recording": "{roots}-other/secret.wav"},
    {"recording": "a\0.wav"},
    {"recording": "/proc/self/environ"},
    {"recording": "/dev/zero"},
    {"recording": "file:///etc/passwd"},
    {"recording": "FILE:///etc/passwd"},
    {"recording": "local:///etc/passwd"},
    {"recording": "simplecache::file:///etc/passwd"},
    {"recording": "zip://a.wav::file:///etc/a.zip"},
    {"recording": "github://org:repo@main/a.wav"},
    {"recording": "ftp://127.0.0.1/a.wav"},
    {"recording": "gopher://127.0.0.1/a.wav"},
    {"recording": "memory://other/a.wav"},
    {"recording": "memory://bucket-2/a.wav"},
    {"recording": "memory://bucket/../other/a.wav"},
    {"recording": "memory://bucket/%2e%2e/other/a.wav"},
    {"recording": "s3://other/a.wav"},
    {"recording": "https::file:///etc/passwd"},
    {"recording": "https://me:password@example.org/a.wav"},
    {"output_dir": "/etc"},
    {"output_dir": "../elsewhere"},
    {"output_dir": "linked"},
    {"output_dir": "https://example.org/upload"},
    {"output_dir": "memory://other/out"},
    {"output_dir": "file:///etc"},
    {"model": "/home/somebody/.ssh/id_rsa"},
    {"model": "../../model.pt"},
    {"model": "linked/secret.pt"},
    {"model_dir": "/etc"},
    {"glossary": ["/etc/passwd"]},
    {"glossary": ["../secret.txt"]},
    {"glossary": ["linked/secret.txt"]},
    {"hotwords": ["/etc/passwd"]},
    {"hotwords": ["../secret.txt"]},
    {"hotwords": ["linked/secret.txt"]},
    {"diarization_model": "/etc", "speakers": "auto"},
    {"together": ["../secret.wav"]},
    {"together": ["a.wav", "linked/secret.wav"]},
    {"together": ["file:///etc/passwd"]},
]


@pytest.fixture
def media(tmp_path: Path) -> Path:
    media = tmp_path / "media"
    (media / "sub").mkdir(parents=True)
    (media / "a.wav").write_bytes(b"RIFF")
    for outside in (tmp_path, tmp_path / "media-other"):
        outside.mkdir(exist_ok=True)
        for name in ("secret.wav", "secret.txt", "secret.pt"):
            (outside / name).write_text("secret", encoding="utf-8")
    (media / "link.wav").symlink_to(tmp_path / "secret.wav")
    (media / "linked").symlink_to(tmp_path)
    (media / "circle.wav").symlink_to(media / "circle.wav")
    return media


@pytest.mark.parametrize("request_", HOSTILE_PATHS, ids=lambda request: str(request)[:60])
def test_hostile_paths_are_refused(media: Path, request_: dict[str, Any]) -> None:
    access = Access.from_environment(
        {"LONGSCRIBE_MEDIA_ROOTS": f"{media}:memory://bucket:s3://ours/in"}
    )
    places = {"outside": str(media.parent), "roots": str(media)}
    values = {
        name: value.format(**places) if isinstance(value, str) else value
        for name, value in request_.items()
    }
    with pytest.raises(OptionError) as caught:
        access.confine(check_options(**{"recording": "a.wav", **values}))
    sentence = str(caught.value)
    assert sentence.startswith("--" + next(iter(values)).replace("_", "-"))
    assert "\n" not in sentence
    assert "password" not in sentence.replace("there is a password in the URL", "")


@pytest.mark.parametrize(
    "place", ["secret.wav", "nothing.wav"], ids=["what exists", "what does not"]
)
def test_a_refusal_does_not_tell_what_exists(media: Path, place: str) -> None:
    access = Access(media_roots=(str(media),))
    with pytest.raises(OptionError) as caught:
        access.allowed(f"../{place}", "--recording")
    assert str(caught.value) == (
        f"--recording: '../{place}' is outside the media roots; give a place in {media}."
    )


def test_what_is_inside_the_roots_is_allowed(media: Path) -> None:
    access = Access(media_roots=(str(media), "memory://bucket/in"))
    given = check_options(
        recording="sub/../a.wav",
        output_dir=f"{media}/out",
        model="models/ours.pt",
        glossary=["TCP/IP", "pre fact => Prefect", "names.txt"],
        hotwords=["TCP/IP", "Ana, Beatriz", "names.txt"],
    )
    options = access.confine(given)
    assert options.recording == str(media / "a.wav")
    assert options.output_dir == str(media / "out")
    assert options.model == str(media / "models/ours.pt")
    assert options.glossary == (
        *("TCP/IP => TCP/IP", "pre fact => Prefect"),
        str(media / "names.txt"),
    )
    assert options.hotwords == ("TCP/IP,", "Ana, Beatriz,", str(media / "names.txt"))
    for url in (
        *("memory://bucket/in/a.wav", "https://example.org/a.wav"),
        "https://[2606:4700::1111]/a.wav",
    ):
        assert access.confine(check_options(recording=url)).recording == url
    assert access.confine(check_options(recording="a.wav", model="turbo")).model == "turbo"
    # Of no one's home: a folder of that name, if there is one.
    assert access.allowed("~/a.wav", "--recording") == str(media / "~" / "a.wav")


def test_a_person_at_a_terminal_may_read_everything() -> None:
    given = check_options(recording="../a.wav", output_dir="~/out", glossary=["/etc/names.txt"])
    assert Access.from_environment({}).confine(given) == given
    given = check_options(recording="../a.wav", hotwords=["/etc/names.txt", "Ana"])
    assert Access.from_environment({}).confine(given) == given


def test_a_service_s_runs_use_only_clusters_that_are_named(media: Path) -> None:
    ours, theirs = "tcp://10.0.0.1:8786", "tcp://10.6.6.6:8786"
    access = Access.from_environment(
        {"LONGSCRIBE_MEDIA_ROOTS": str(media), "LONGSCRIBE_CLUSTERS": f"{ours}, tls://b:1"}
    )
    options = {"recording": str(media / "a.wav"), "output_dir": str(media), "runner": "dask"}
    assert access.confine(check_options(**options, address=ours)).address == ours
    with pytest.raises(OptionError, match="LONGSCRIBE_CLUSTERS"):
        access.confine(check_options(**options, address=theirs))
    assert Access().confine(check_options(**options, address=theirs)).address == theirs
