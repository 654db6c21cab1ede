"""How long a program waits for the transcript of a clip, beside faster-whisper's own server.

`python -m benchmarks.latency longscribe` starts the whole service: server, workers and web
application. `python -m benchmarks.latency faster-whisper-server` starts that package (0.0.3, with
faster-whisper 1.2.1 in int8, --batch windows side by side; `pip install` it first). Both have the
weights of the extra `base`. For each length the service is started anew: the first request is the
cold one, the others, each of other sound, are warm. Prints seconds and word errors.
"""

import argparse
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

import httpx
import numpy as np

from benchmarks.ctranslate2_format import write_ctranslate2
from benchmarks.real_recordings import read_recording
from benchmarks.sounds import read_sound, write_wav
from benchmarks.surroundings import describe_machine, describe_versions
from longscribe.audio.recording import SAMPLE_RATE_HZ
from longscribe.models.forms import read
from longscribe.models.weights import resolve_model
from longscribe.text.word_errors import WordErrors, word_errors

_SOURCE = Path(__file__).parent / "speech" / "lj001_a.opus"
_STARTS_WITHIN_S = 180.0


class Clip(NamedTuple):
    """Whole sentences of a reader, and their words."""

    path: Path
    duration_s: float
    words: str


class Service(NamedTuple):
    """Where requests go, and what is sent with each."""

    url: str
    headers: dict[str, str]
    fields: dict[str, str]


def clips(duration_s: float, count: int, folder: Path) -> list[Clip]:
    """As many clips of about this length, each of other sentences, as far as there are enough."""
    recording = read_recording("lj001_a", _SOURCE)
    samples = read_sound(_SOURCE)
    generator = np.random.default_rng()
    made: list[Clip] = []
    first = 0
    while len(made) < count:
        last = first
        start_s = recording.utterances[first].start
        while (
            last + 1 < len(recording.utterances)
            and recording.utterances[last + 1].end - start_s < 1.1 * duration_s
        ):
            last += 1
        chosen = recording.utterances[first : last + 1]
        length_s = chosen[-1].end - start_s
        if 0.8 * duration_s < length_s < 1.15 * duration_s:
            path = folder / f"clip {duration_s:g} {len(made)}.wav"
            part = samples[round(start_s * SAMPLE_RATE_HZ) : round(chosen[-1].end * SAMPLE_RATE_HZ)]
            # Of a loudness of its own: what any run has heard before is not heard again.
            loud = part * generator.uniform(0.7, 1.0)
            write_wav(path, loud.astype(np.int16))
            words = " ".join(one.text or "" for one in chosen)
            made.append(Clip(path, length_s, words))
        first = last + 1 if last + 1 < len(recording.utterances) else 0
    return made


@contextmanager
def longscribe(folder: Path, cache: Path) -> Iterator[Service]:
    """`longscribe serve` with folders of its own."""
    port, web_port = 46200, 46201
    environment = {
        **os.environ,
        "PREFECT_HOME": str(folder / "prefect"),
        "LONGSCRIBE_MODEL": "base",
        "LONGSCRIBE_CACHE": str(cache),
        "LONGSCRIBE_WEB_DATABASE": f"sqlite:///{folder / 'web.sqlite'}",
    }
    command = [sys.executable, "-m", "longscribe.deployments.serve", "--folder", str(folder)]
    command += ["--port", str(port), "--web-port", str(web_port)]
    url = f"http://127.0.0.1:{web_port}"
    with _running(command, environment, f"{url}/health", folder / "log"):
        keys = [sys.executable, "-m", "longscribe", "keys", "add", "latency"]
        said = subprocess.run(keys, env=environment, capture_output=True, text=True, check=True)
        key = said.stdout.split()[-1]
        yield Service(url, {"authorization": f"Bearer {key}"}, {"model": "base"})


@contextmanager
def faster_whisper_server(folder: Path, weights: Path, batch: int) -> Iterator[Service]:
    """The package of this name."""
    configuration = folder / "models.yaml"
    configuration.write_text(
        f"models:\n- name: base\n  path: {weights}\n  batch_size: {batch}\n"
        "  model_options: {compute_type: int8, device: cpu}\n",
        encoding="utf-8",
    )
    port = 46202
    command = [sys.executable, "-m", "uvicorn", "faster_whisper_server.api:app"]
    command += ["--port", str(port), "--log-level", "warning"]
    environment = {**os.environ, "FWS_CONFIG_PATH": str(configuration)}
    url = f"http://127.0.0.1:{port}"
    with _running(command, environment, f"{url}/health", folder / "log"):
        yield Service(url, {}, {"model_name": "base"})


@contextmanager
def _running(
    command: Sequence[str], environment: dict[str, str], answers: str, log: Path
) -> Iterator[None]:
    with log.open("wb") as file:
        process = subprocess.Popen(
            command, env=environment, stdout=file, stderr=file, start_new_session=True
        )
    try:
        give_up_s = time.monotonic() + _STARTS_WITHIN_S
        while True:
            with suppress(httpx.TransportError):
                if httpx.get(answers, timeout=5).is_success:
                    break
            if process.poll() is not None or time.monotonic() > give_up_s:
                raise RuntimeError(log.read_text(errors="replace")[-2000:])
            time.sleep(0.2)
        yield
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGINT)
        process.wait()


def ask(client: httpx.Client, service: Service, clip: Clip) -> tuple[float, WordErrors]:
    """The seconds that a clip takes, and its errors."""
    fields = {**service.fields, "language": "en", "response_format": "json"}
    started_s = time.monotonic()
    with clip.path.open("rb") as file:
        answer = client.post(
            f"{service.url}/v1/audio/transcriptions",
            headers=service.headers,
            files={"file": (clip.path.name, file, "audio/wav")},
            data=fields,
        )
    took_s = time.monotonic() - started_s
    text = answer.raise_for_status().json()["text"]
    return took_s, word_errors(clip.words, text, "en")


def main() -> None:
    """Measure one of them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("which", choices=["longscribe", "faster-whisper-server"])
    parser.add_argument("--lengths", type=float, nargs="+", default=[5.0, 10.0, 30.0, 600.0])
    parser.add_argument("--rounds", type=int, default=5, help="Warm requests of each length.")
    parser.add_argument("--batch", type=int, default=1, help="Of faster-whisper-server.")
    parser.add_argument("--settle", type=float, default=20.0, help="Seconds after the start.")
    parser.add_argument("--cache", type=Path, default=Path("benchmarks/results/latency-cache"))
    arguments = parser.parse_args()
    print(describe_machine(), describe_versions(), sep="\n", flush=True)
    weights = arguments.cache.absolute() / "base-ct2-float32"
    if arguments.which != "longscribe" and not weights.exists():
        spec = resolve_model("base")
        checkpoint = {"dims": spec.dims.model_dump(), "model_state_dict": read(spec)}
        weights.parent.mkdir(parents=True, exist_ok=True)
        write_ctranslate2(checkpoint, weights, "float32")
    for length_s in arguments.lengths:
        with tempfile.TemporaryDirectory() as made:
            folder = Path(made)
            rounds = min(arguments.rounds, 2) if length_s > 100 else arguments.rounds
            sounds = clips(length_s, 1 + rounds, folder)
            starting_s = time.monotonic()
            if arguments.which == "longscribe":
                starting = longscribe(folder, arguments.cache.absolute())
            else:
                starting = faster_whisper_server(folder, weights, arguments.batch)
            with starting as service, httpx.Client(timeout=600) as client:
                started_s = time.monotonic() - starting_s
                time.sleep(arguments.settle)  # nobody's first request comes in the same second
                answers = [ask(client, service, sound) for sound in sounds]
        cold_s, warm_s = answers[0][0], [seconds for seconds, _ in answers[1:]]
        errors = sum(one.substituted + one.lost + one.invented for _, one in answers)
        words = sum(one.words for _, one in answers)
        print(
            f"{arguments.which}: {length_s:g} s: started in {started_s:.1f} s, "
            f"cold {cold_s:.2f} s, warm {statistics.median(warm_s):.2f} s "
            f"({min(warm_s):.2f} to {max(warm_s):.2f}, {len(warm_s)}), "
            f"{errors} errors in {words} words",
            flush=True,
        )


if __name__ == "__main__":
    main()
