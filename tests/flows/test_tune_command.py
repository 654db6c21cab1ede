"""`longscribe tune`: a table, a choice, files, and what is refused."""

import json
import os
import shlex
import subprocess
from pathlib import Path
from typing import Any

import click
import pytest

from longscribe.api.tuner import Measured, Tuner
from longscribe.flows.command_line import main
from longscribe.flows.tune_command import command_line_of, tune_command
from longscribe.options import check_options
from tests.recordings import beginning
from tests.sounds import write_sound

# whisper/normalizers/english.py leaves its list of spellings to the garbage collector.
pytestmark = pytest.mark.filterwarnings("ignore:unclosed file .*english.json:ResourceWarning")

PROJECT = Path(__file__).resolve().parents[2]
FEW = ("--models", "demo", "--language", "en", "--precisions", "float32", "--speeds", "1.0,1.5")


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    write_sound(tmp_path / "my talk.wav", beginning(duration_s=20.0))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def ran(capfd: pytest.CaptureFixture[str], *arguments: str) -> tuple[object, str, str]:
    capfd.readouterr()
    with pytest.raises(SystemExit) as caught:
        main(["tune", *arguments])
    return caught.value.code, *capfd.readouterr()


def test_a_table_a_choice_and_files(here: Path, capfd: pytest.CaptureFixture[str]) -> None:
    code, out, err = ran(capfd, "my talk.wav", *FEW, "--beam-sizes", "none,2", "--rounds", "1")
    assert (code, err) == (0, "")
    assert max(map(len, out.splitlines())) <= 100
    assert "0.3 minutes of speech out of 0:00:20, from 0:00:00; 4 settings" in out
    for number in range(1, 5):
        assert f"\n{number}/4 " in out
    assert "% words otherwise than by demo, 1.0x, float32, 2 beams" in out
    assert "yardstick" in out
    assert "Recommended: demo, " in out
    (command,) = (line for line in out.splitlines() if line.startswith("  longscribe "))
    words = shlex.split(command)
    assert words[:3] == ["longscribe", "--model", "demo"]
    assert words[-1] == "my talk.wav"
    assert {"--language", "--speed", "--precision"} <= set(words)
    written = json.loads((here / "transcripts" / "my talk" / "my talk.tune.json").read_text())
    assert len(written["rows"]) == 4
    assert (here / "transcripts" / "my talk" / "my talk.tune.svg").read_text().startswith("<svg")


def test_what_was_measured_until_ctrl_c_is_told(
    here: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    measure = Tuner.measure

    def interrupted(tuner: Tuner) -> Any:
        measured: Measured = next(measure(tuner))
        yield measured
        raise KeyboardInterrupt

    monkeypatch.setattr(Tuner, "measure", interrupted)
    code, out, err = ran(capfd, "my talk.wav", *FEW, "--beam-sizes", "none")
    assert code == 130
    assert err == "longscribe: stopped; 1 of 2 settings were measured\n"
    assert "Recommended: demo, 1.0x" in out
    assert (here / "transcripts" / "my talk" / "my talk.tune.svg").exists()


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("nothing.wav", "--models", "demo"), "'nothing.wav' does not exist"),
        (("my talk.wav", "--models", "huge"), "unknown model 'huge'"),
        (("my talk.wav", "--models", "demo", "--speeds", "9"), "--speeds: input should be less"),
        (("my talk.wav", "--models", "demo", "--reference", "no.txt"), "'no.txt' cannot be read"),
        (("my talk.wav", "--models", "demo", "--reference", "empty.txt"), "it is empty"),
        (("my talk.wav", "--models", "demo", "--reference", "my talk.wav"), "is no text in UTF-8"),
        (("my talk.wav", "--models", "demo", "--output-dir", "s3://a"), "a folder on this machine"),
        (("silence.wav", "--models", "demo"), "nobody speaks in 'silence.wav'"),
        (("my talk.wav", "--sample-minutes", "x"), "is not a valid float"),
        ((), "Missing argument 'RECORDING'"),
    ],
)
def test_bad_input_is_one_sentence(
    here: Path,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    arguments: tuple[str, ...],
    says: str,
) -> None:
    monkeypatch.setattr(Tuner, "measure", None)  # nothing slow is begun
    (here / "empty.txt").write_text("\n")
    write_sound(here / "silence.wav", 0.0 * beginning(duration_s=5.0))
    code, out, err = ran(capfd, *arguments)
    assert (code, out) == (2, "")
    assert err.startswith("longscribe: ")
    assert says in err
    assert err.count("\n") == 1
    assert not list(here.glob("transcripts/*/*"))


def test_the_command_is_as_a_shell_and_longscribe_read_it(tmp_path: Path) -> None:
    options = check_options(
        recording="-it's.wav", model="base", beam_size=5, glossary=("pre fact => Prefect", "VAD")
    )
    line = command_line_of("-it's.wav", options.model_dump())
    echoed = subprocess.run(
        ["sh", "-c", f"printf '%s\\n' {line}"], capture_output=True, text=True, check=True,
        env=dict(os.environ),
    ).stdout  # fmt: skip
    assert echoed.splitlines() == [
        *("longscribe", "--model", "base", "--precision", "auto", "--speed", "auto"),
        *("--glossary", "pre fact => Prefect", "--glossary", "VAD", "--beam-size", "5"),
        *("--", "-it's.wav"),
    ]


def test_help_is_short_and_in_the_reader_s_language(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    code, out, _ = ran(capfd, "--help")
    assert code == 0
    assert "--reference FILE" in out
    assert max(map(len, out.splitlines())) <= 100
    monkeypatch.setenv("LONGSCRIBE_UI_LANGUAGE", "pt_BR")
    _, out, _ = ran(capfd, "--help")
    assert "Texto do que é dito na gravação inteira." in out


def test_the_page_tells_every_option_and_its_default() -> None:
    page = (PROJECT / "docs" / "tune.md").read_text(encoding="utf-8")
    options = [one for one in tune_command.params if isinstance(one, click.Option)]
    assert len(options) > 15
    for option in options:
        assert f"`{_long(option)}`" in page
        if option.show_default:
            default = str(option.default).removesuffix(".0")
            (row,) = (line for line in page.splitlines() if line.startswith(f"| `{_long(option)}`"))
            assert row.split("|")[2].strip(" `") == default


def _long(option: click.Option) -> str:
    return next(name for name in option.opts if name.startswith("--"))
