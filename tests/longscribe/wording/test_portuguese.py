"""Longscribe for people who write Portuguese: a mistake, the help, and a run from end to end."""

import re
import subprocess
from pathlib import Path

import pytest

from longscribe.flows import command_line
from longscribe.flows.command_line import main
from longscribe.flows.translated_command import ui_language_of
from longscribe.options import DEFAULT_FORMATS, FORMATS, check_options
from longscribe.wording.catalog import UI_LANGUAGE_VARIABLE, translated
from tests.flows.test_transcribe import command
from tests.recordings import write_beginning


@pytest.fixture
def portuguese(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(UI_LANGUAGE_VARIABLE, "pt_BR")


def ran(capfd: pytest.CaptureFixture[str], *arguments: str) -> tuple[object, str, str]:
    capfd.readouterr()
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    out, err = capfd.readouterr()
    return caught.value.code, out, err


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("nada.wav",), "longscribe: 'nada.wav' não existe; verifique o caminho."),
        (
            ("nada.wav", "--speed", "9"),
            "longscribe: --speed: o valor deve ser menor ou igual a 2 (foi dado 9.0).",
        ),
        (
            ("nada.wav", "--language", "klingon"),
            "longscribe: --language: 'klingon' não é um idioma que o Whisper conheça; "
            "informe um código como en ou pt, ou auto.",
        ),
        (
            ("nada.wav", "--task", "cantar"),
            "longscribe: Valor inválido para '--task': 'cantar' não é um de 'transcribe', "
            "'translate'; veja longscribe --help",
        ),
        ((), "longscribe: Falta o argumento 'RECORDING...'; veja longscribe --help"),
    ],
)
def test_a_mistake_is_told_in_portuguese(
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    arguments: tuple[str, ...],
    says: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(command_line, "start_fork_server", None)
    told = ran(capfd, *arguments, "--model", "demo", "--ui-language", "pt_BR")
    assert told == (2, "", f"{says}\n")


def test_help_is_in_portuguese_and_fits_a_screen(
    capfd: pytest.CaptureFixture[str], portuguese: None
) -> None:
    code, out, _ = ran(capfd, "--help")
    assert code == 0
    assert len(out.splitlines()) <= 44
    for words in (
        "Uso: longscribe",
        "Transcreve gravações",
        "Opções:",
        "Idioma falado; auto o detecta.",
        "Mostra a versão e sai.",
        "Mostra esta mensagem e sai.",
        "0 concluído, 1",
    ):
        assert words in out
    code, out, _ = ran(capfd, "--help", "--ui-language", "en")
    assert "Spoken language; auto detects it." in out


def test_the_help_of_formats_has_all_of_them(capfd: pytest.CaptureFixture[str]) -> None:
    _, out, _ = ran(capfd, "--help")
    told = re.sub(r"\s+", " ", out)
    others = ",".join(name for name in FORMATS if name not in DEFAULT_FORMATS)
    assert f"[{','.join(DEFAULT_FORMATS)}]; also {others}; all." in told


@pytest.mark.parametrize(
    ("arguments", "language"),
    [
        (["a.wav"], "auto"),
        (["a.wav", "--ui-language", "pt_BR"], "pt_BR"),
        (["--ui_language=pt-br", "a.wav"], "pt_BR"),
        (["--ui-language=en"], "en"),
        (["--ui-language", "fr"], "auto"),
        (["--ui-language"], "auto"),
    ],
)
def test_the_language_is_known_before_the_options_are_parsed(
    arguments: list[str], language: str
) -> None:
    assert ui_language_of(arguments) == language


def test_the_option_is_one_of_the_run_s() -> None:
    assert check_options(recording="a.wav").ui_language == "auto"
    assert check_options(recording="a.wav", ui_language="pt_BR").ui_language == "pt_BR"


def test_progress_is_the_mission_s_line(portuguese: None) -> None:
    line = translated("Finished chunk %s, %s; progress %.0f %% (%d/%d)%s")
    segments = translated("{count} segments").format(count=19)
    left = translated(", about {time} left").format(time="0:05:12")
    assert line % ("1 de 7", segments, 100 / 7, 1, 7, left) == (
        "Chunk 1 de 7 terminado: 19 segmentos. Progresso: 14.3% (1/7), faltam cerca de 0:05:12"
    )


def test_a_run_says_what_was_promised_in_portuguese(prefect_server: None, tmp_path: Path) -> None:
    recording = write_beginning(tmp_path)
    done = subprocess.run(
        **command(
            *(tmp_path, str(recording), "--model", "demo", "--workers", "1", "--fresh"),
            *("--formats", "txt,html,report", "--ui-language", "pt_BR"),
        ),
        capture_output=True,
        timeout=250,
    )
    assert (done.returncode, done.stderr) == (0, "")
    order = [
        *("Carregando modelo demo...", "Modelo demo carregado: ", "worker(s) x "),
        *("Acelerando 'synthetic.wav' 1.2x", "Duração original: ", "duração acelerada: "),
        *("Duração do chunk: 600 s, total: ", "1 chunk(s)", "Progresso: 0.0% (0/1)"),
        *("Chunk 1 de 1 iniciado", "Chunk 1 de 1 concluído", " segmentos, "),
        *("Chunk 1 de 1 terminado: ", "Progresso: 100.0% (1/1)", "segmentos unidos"),
        *("segmentos melhorados", "Gravado: ", "Concluído em "),
    ]
    at = 0
    for words in order:
        at = done.stdout.index(words, at) + len(words)
    last = done.stdout.splitlines()[-1]
    assert re.search(r"em [\d.]+ s .*: \d+ segmentos, \d+ melhorados, 1 chunk\(s\)$", last)
    folder = tmp_path / "transcripts" / "synthetic"
    page = (folder / "synthetic.html").read_text(encoding="utf-8")
    assert '<html lang="en">' in page
    assert 'placeholder="Buscar"' in page
    assert '"{count} found": "encontrados: {count}"' in page
    assert "· Inglês ·" in page
    assert "Gravação" in (folder / "synthetic.report.svg").read_text(encoding="utf-8")
