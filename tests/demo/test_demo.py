"""`python -m demo`: real people with model base, or the synthetic sample without it."""

import json
import shutil
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from demo import __main__ as demo

PROJECT = Path(__file__).parents[2]

# whisper/normalizers/english.py leaves its table to the garbage collector.
pytestmark = pytest.mark.filterwarnings("ignore:unclosed file .*english.json:ResourceWarning")


class Command:
    """Stands for the command; every transcript is its reference without the first word."""

    def __init__(self, code: int, interrupts: int = 0) -> None:
        self.code, self.interrupts = code, interrupts
        self.arguments: list[str] = []

    def __call__(self, command: list[str]) -> "Command":
        assert command[:3] == [sys.executable, "-m", "longscribe.flows.command_line"]
        self.arguments = command[3:]
        return self

    def __enter__(self) -> "Command":
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def wait(self) -> int:
        if self.interrupts:
            self.interrupts -= 1
            raise KeyboardInterrupt
        print("what the command prints", flush=True)
        for recording in map(Path, self.arguments[: self.arguments.index("--model")]):
            rows = json.loads(recording.with_suffix(".json").read_text(encoding="utf-8"))
            heard = " ".join(row["text"] for row in rows).split(maxsplit=1)[1]
            folder = Path("transcripts") / recording.stem
            folder.mkdir(parents=True)
            (folder / f"{recording.stem}.json").write_text(
                json.dumps({"segments": [{"text": heard}]}), encoding="utf-8"
            )
        return self.code


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty folder with the recordings' references."""
    (tmp_path / "demo").mkdir()
    for path in (PROJECT / "demo").glob("s*.json"):
        shutil.copy(path, tmp_path / "demo")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["demo"])


def run(monkeypatch: pytest.MonkeyPatch, command: Command, installed: bool) -> int:
    monkeypatch.setattr(demo, "is_installed", lambda name: installed and name == "base")
    monkeypatch.setattr(demo, "subprocess", SimpleNamespace(Popen=command))
    return demo.main()


def test_real_people_with_model_base(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    command = Command(0)
    assert run(monkeypatch, command, installed=True) == 0
    recordings = ["demo/sample.opus", "demo/sample-pt.opus"]
    assert command.arguments == [*recordings, "--model", "base", "--speed", "1.0", "--print"]
    out, err = capfd.readouterr()
    assert err == ""
    assert out.splitlines() == [
        "what the command prints",
        "demo/sample.opus: 0.3 % word errors against what was said (374 words), "
        "the transcript is in transcripts/sample/",
        "demo/sample-pt.opus: 0.4 % word errors against what was said (260 words), "
        "the transcript is in transcripts/sample-pt/",
    ]


def test_a_synthetic_recording_without_it(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    command = Command(3)
    assert run(monkeypatch, command, installed=False) == 3
    assert command.arguments == ["demo/synthetic.opus", "--model", "demo", "--print"]
    out, err = capfd.readouterr()
    assert err == ""
    said, printed, understood = out.splitlines()
    assert "pip install 'longscribe[base]'" in said
    assert said.count(". ") == 0
    assert printed == "what the command prints"
    assert understood.startswith("demo/synthetic.opus: ")


@pytest.mark.parametrize(("ended", "code"), [(1, 1), (130, 130), (-9, 137)])
def test_a_run_that_fails_or_is_stopped_is_not_judged(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], ended: int, code: int
) -> None:
    assert run(monkeypatch, Command(ended, interrupts=2), installed=True) == code
    assert capfd.readouterr() == ("what the command prints\n", "")
