"""`longscribe RECORDING...`: the same flow as in the Prefect UI, from a terminal.

`longscribe cache` is a command of its own; a recording of that name is `./cache`.

Exit codes: 0 done; 1 failed; 2 bad input or options, nothing was done; 3 done in part, with gaps;
130 stopped by Ctrl-C, 143 by SIGTERM.
"""

import importlib.metadata
import os
import signal
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

import click

from longscribe.audio.recording import probe
from longscribe.errors import InputError, LongscribeError, OptionError, RecordingError
from longscribe.flows.cache_command import cache_command
from longscribe.flows.embedded_server import EmbeddedServer, surely_needed
from longscribe.flows.output import say
from longscribe.models.weights import check_model, check_task
from longscribe.options import DEFAULT_FORMATS, FORMATS, RunOptions, check_options
from longscribe.outputs.formats import output_name
from longscribe.runtime.importing import without_collections
from longscribe.runtime.scratch import keeping_names
from longscribe.storage.uploads import check_destination
from longscribe.storage.uris import is_url, name_of
from longscribe.text.glossary import read_glossary

OK, FAILED, BAD_INPUT, PARTIAL, STOPPED, TERMINATED = 0, 1, 2, 3, 130, 143

_BEGIN_WITHIN_S = 300.0
_BEGIN_AGAIN_S = 2.0

# Prefect reads these when it is imported; what the user has set himself wins.
_PREFECT_DEFAULTS = {
    "PREFECT_LOGGING_SETTINGS_PATH": str(Path(__file__).with_name("logging.yml")),
    "PREFECT_LOGGING_TO_API_WHEN_MISSING_FLOW": "ignore",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "DO_NOT_TRACK": "1",
    # A server that restarts, or is unreachable for some minutes, must not end a run: each retry
    # waits twice as long as the one before, at first 2 s, in all eight minutes.
    "PREFECT_CLIENT_MAX_RETRIES": "8",
    # What a server answers while its database restarts; by itself Prefect gives up at once.
    "PREFECT_CLIENT_RETRY_EXTRA_CODES": "500",
}

_EPILOG = (
    "openai-whisper's spellings and decoding options work too, such as --output_dir, --beam_size, "
    "--word_timestamps; the docs have all. Exit codes: 0 done, 1 failed, 2 bad input, 3 done with "
    "gaps. `longscribe cache` shows and cleans what is kept between runs, `longscribe serve` "
    "starts the service."
)


class _FloatOrNone(click.ParamType[float | None]):
    name = "float"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float | None:
        if value is None or str(value).lower() == "none":
            return None
        try:
            return float(value)
        except ValueError:
            self.fail(f"{value!r} is not a number or None", param, ctx)


class _MinutesOrAuto(click.ParamType[float | str]):
    name = "minutes|auto"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float | str:
        if str(value).lower() == "auto":
            return "auto"
        try:
            return float(value)
        except ValueError:
            self.fail(f"{value!r} is not a number of minutes or auto", param, ctx)


class _CountOrAuto(click.ParamType[int | str]):
    name = "n|auto"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> int | str:
        if str(value).lower() in ("auto", "0"):  # 0 is openai-whisper's automatic --threads
            return "auto"
        try:
            return int(value)
        except ValueError:
            self.fail(f"{value!r} is not a whole number or auto", param, ctx)


def _option(*names: str, **attributes: Any) -> Callable[[Any], Any]:
    """A click option whose default is the one of `RunOptions`."""
    field = RunOptions.model_fields[names[-1]]
    return click.option(*names, default=field.default, **attributes)


def _hidden(name: str, type_: Any) -> Callable[[Any], Any]:
    return _option(f"--{name.replace('_', '-')}", name, type=type_, hidden=True)


_COUNT = _CountOrAuto()
_NUMBER = _FloatOrNone()


@click.command(
    epilog=_EPILOG,
    context_settings={
        "help_option_names": ["-h", "--help"],
        "token_normalize_func": lambda token: token.replace("_", "-"),
        "max_content_width": 100,
    },
)
@click.argument("recordings", metavar="RECORDING...", nargs=-1, required=True)
@_option("-m", "--model", "model", help="Name, path or hub repository of a model.  [turbo]")
@_option("-l", "--language", "language", help="Spoken language; auto detects it.  [auto]")
@_option(
    "--task",
    "task",
    type=click.Choice(["transcribe", "translate"]),
    help="translate gives English.  [transcribe]",
)
@_option(
    "--decoding",
    "decoding",
    type=click.Choice(["batched", "sequential"]),
    help="sequential is openai-whisper's own loop.  [batched]",
)
@_option(
    "--precision",
    "precision",
    type=click.Choice(["auto", "float32", "int8", "float16", "bfloat16"]),
    help="int8, float32 on a CPU.  [auto]",
)
@_option("--device", "device", type=click.Choice(["auto", "cpu", "cuda"]), help="[auto]")
@_option("-s", "--speed", "speed", type=float, help="Tempo before recognition, 0.5-2.0.  [1.2]")
@_option("--chunk-minutes", "chunk_minutes", type=float, help="Length of a chunk.  [10]")
@_option("-w", "--workers", "workers", type=_COUNT, help="Worker processes.  [auto]")
@_option(
    "--threads-per-worker",
    "--threads",
    "threads_per_worker",
    type=_COUNT,
    help="Threads of each.  [auto]",
)
@_option("--memory-per-worker", "memory_per_worker", metavar="SIZE", help="Such as 4GB.  [auto]")
@_option("--batch-size", "batch_size", type=_COUNT, help="Windows decoded at once.  [auto]")
@_option(
    "-o",
    "--output-dir",
    "output_dir",
    metavar="DIR",
    help="Folder or URL to write to.  [transcripts]",
)
@click.option(
    "-f",
    "--formats",
    "--output-format",
    "formats",
    metavar="LIST",
    default=",".join(DEFAULT_FORMATS),
    help=f"[{','.join(DEFAULT_FORMATS)}]; also "
    f"{','.join(f for f in FORMATS if f not in DEFAULT_FORMATS)}; all.",
)
@_option(
    "--page-audio",
    "page_audio",
    metavar="MODE",
    help="Sound of html: link, copy, embed.",
)
@_option(
    "--max-line-chars",
    "--max-line-width",  # openai-whisper's name
    "max_line_chars",
    type=int,
    hidden=True,
)
@click.option(
    "-g",
    "--glossary",
    "glossary",
    multiple=True,
    metavar="ENTRY|FILE",
    help="Word, heard => wanted, a file of them.",
)
@_option("--initial-prompt", "initial_prompt", help="Sets style and vocabulary of all windows.")
@_option("--model-dir", "model_dir", metavar="DIR", help="Where downloaded weights are kept.")
@_option("--audio-track", "audio_track", type=_COUNT, help="Of several, from 1.  [auto]")
@_option("--fresh", "fresh", is_flag=True, help="Do also what earlier runs finished.")
@_option(
    "--chunk-timeout-minutes",
    "chunk_timeout_minutes",
    type=_MinutesOrAuto(),
    metavar="N",
    help="After which a chunk is stuck.  [auto]",
)
@click.option("--print/--no-print", "-p", "show", help="Print the transcript at the end.")
@_hidden("keep_days", float)
@_hidden("keep_size", str)
@_option("--max-lines", "--max-line-count", "max_lines", type=int, hidden=True)
@_hidden("max_chars_per_s", float)
@_hidden("min_gap_s", float)
@_hidden("temperature", float)
@_hidden("temperature_increment_on_fallback", _NUMBER)
@_hidden("best_of", int)
@_hidden("beam_size", int)
@_hidden("patience", float)
@_hidden("length_penalty", float)
@_hidden("suppress_tokens", str)
@_hidden("condition_on_previous_text", bool)
@_hidden("word_timestamps", bool)
@_hidden("compression_ratio_threshold", float)
@_hidden("logprob_threshold", float)
@_hidden("no_speech_threshold", float)
@click.option("--verbose", type=bool, default=False, hidden=True)  # upstream's --print
@click.option("--fp16", type=bool, hidden=True)  # --precision says it; upstream's own default
@click.version_option(importlib.metadata.version("longscribe"), "-V", "--version")
def command(
    recordings: tuple[str, ...],
    show: bool,
    verbose: bool,
    fp16: bool | None,
    **values: Any,
) -> int:
    """Transcribe recordings to text, subtitles and a page, in DIR/RECORDING/."""
    runs = [check_options(recording=recording, **values) for recording in recordings]
    _refuse_same_outputs(runs)
    check_task(runs[0].model, runs[0].task)
    check_model(runs[0].model, runs[0].model_dir)
    refused = {options.recording: _refusal(options) for options in runs}
    codes = {recording: _complain(str(error)) for recording, error in refused.items() if error}
    runs = [options for options in runs if options.recording not in codes]
    if not runs:
        return _summed_up(codes)
    for name, value in _PREFECT_DEFAULTS.items():
        os.environ.setdefault(name, value)
    server = EmbeddedServer() if surely_needed() else None
    # Only now: importing Prefect takes seconds, which --help, bad options and the server need not
    # wait for. And with all that the run will need, while the server is on its way up.
    with without_collections():
        import longscribe.flows.transcribe  # noqa: F401
        from longscribe.flows.server import connected
        from longscribe.tasks.fork_server import start_fork_server

    start_fork_server()  # it is ready when the server is
    with connected(server):
        codes |= {options.recording: _run(options, show or verbose) for options in runs}
        return _summed_up(codes)


def _refusal(options: RunOptions) -> InputError | None:
    """Why a run cannot even begin: told before a server, where its flow would take seconds."""
    try:
        if not _is_utf8(options.recording):
            raise RecordingError(
                f"{options.recording!r} has a name that is not UTF-8; "
                "rename it, or give a link to it."
            )
        read_glossary(options.glossary)
        check_destination(options.output_dir, output_name(Path(name_of(options.recording))))
        if not is_url(options.recording):
            probe(options.recording_path, options.audio_track_number)
    except InputError as error:
        return error
    return None


def _is_utf8(name: str) -> bool:
    """Whether a name can be written into a database, a log and a page."""
    try:
        name.encode()
    except UnicodeEncodeError:  # bytes of another encoding, which Python keeps as surrogates
        return False
    return True


def _summed_up(codes: Mapping[str, int]) -> int:
    """The worst exit code of all recordings; of several, a line says which are not done."""
    undone = [repr(recording) for recording, code in codes.items() if code not in (OK, PARTIAL)]
    if undone and len(codes) > 1:
        say(f"{len(codes) - len(undone)} of {len(codes)} recordings done; not: {', '.join(undone)}")
    return max(codes.values(), key=_severity)


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Entry point of `longscribe`: runs the command and exits with its code."""
    arguments = sys.argv[1:] if arguments is None else list(arguments)
    # Prefect ends the run first and then passes the signal on to us: leave as after Ctrl-C, through
    # every `finally` and exit handler, or the embedded server would live on.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(TERMINATED))
    try:
        if arguments[:1] == ["cache"]:
            chosen, name, arguments = cache_command, "longscribe cache", arguments[1:]
        else:
            chosen, name = command, "longscribe"
        code = chosen.main(args=arguments, prog_name=name, standalone_mode=False)
    except click.ClickException as error:
        dashed = any(map(_is_dashed_file, arguments))
        hint = "put -- before a name that starts with a dash" if dashed else "see longscribe --help"
        code = _complain(f"{error.format_message().rstrip('.')}; {hint}")
    except InputError as error:
        code = _complain(str(error))
    except (KeyboardInterrupt, click.Abort):
        code = _complain("stopped", STOPPED)
    sys.exit(code)


def _run(options: RunOptions, show: bool) -> int:
    """Transcribe one recording; its exit code."""
    from multiprocessing import util

    import httpx

    from longscribe.flows.transcribe import RunSummary, transcribe
    from longscribe.tasks.stopping import StoppedAlone

    parameters = options.model_dump()
    parameters.update(formats=list(options.formats), glossary=list(options.glossary))
    try:
        with keeping_names(unreported=(httpx.HTTPError, StoppedAlone)):
            summary: Any = _begun(transcribe, parameters)
    except StoppedAlone as stopped:
        _complain(
            f"{options.recording!r}: stopped; the Prefect server does not answer, so the run stays "
            "Running there until the next one on this machine."
        )
        sys.stdout.flush()
        # Prefect's exit handlers would wait for the server to take the last lines of the log;
        # those of multiprocessing remove its semaphores and sockets.
        util._run_finalizers()  # type: ignore[attr-defined]
        os._exit(STOPPED if isinstance(stopped.stop, KeyboardInterrupt) else TERMINATED)
    except InputError as error:
        return _complain(str(error))
    except httpx.HTTPError as error:
        return _complain(
            f"{options.recording!r}: the Prefect server stopped answering "
            f"({type(error).__name__}); finished chunks are kept: run it again when it is back.",
            FAILED,
        )
    except LongscribeError as error:
        return _complain(f"{options.recording!r}: {error}", FAILED)
    assert isinstance(summary, RunSummary)
    if show:
        for line in summary.lines:
            say(line)
    return PARTIAL if summary.failed_chunks else OK


def _begun(flow: Callable[..., Any], parameters: dict[str, Any]) -> Any:
    """Call a flow, again where the server was away just when Prefect asked for its version.

    It asks once, before the run begins, and everything later as often as it is told to.
    """
    import httpx

    give_up_s = time.monotonic() + _BEGIN_WITHIN_S
    while True:
        try:
            return flow(**parameters)
        except RuntimeError as error:
            if not isinstance(error.__cause__, httpx.TransportError):
                raise
            if time.monotonic() > give_up_s:
                raise error.__cause__ from None
            time.sleep(_BEGIN_AGAIN_S)


def _refuse_same_outputs(runs: Sequence[RunOptions]) -> None:
    seen: dict[str, str] = {}
    for options in runs:
        name = output_name(Path(name_of(options.recording)))
        if name in seen:
            raise OptionError(
                f"{seen[name]!r} and {options.recording!r} would both be written to the folder "
                f"{name!r}; transcribe them one by one with different --output-dir."
            )
        seen[name] = options.recording


def _severity(code: int) -> int:
    return (OK, PARTIAL, BAD_INPUT, FAILED, STOPPED).index(code)


def _is_dashed_file(argument: str) -> bool:
    return argument.startswith("-") and Path(argument).is_file()


def _complain(sentence: str, code: int = BAD_INPUT) -> int:
    say(f"longscribe: {sentence}", error=True)
    return code


if __name__ == "__main__":
    main()
