import json
from pathlib import Path

import pytest

from benchmarks.command import (
    Sized,
    chunks_core_s,
    command_line,
    seconds_to_first_chunk,
    sized,
    transcribing_s,
    windows_and_fallbacks,
    working_s,
    written_transcript,
)

LOG = """\
15:47:38 Transcribing talk; in the Prefect UI:
15:47:38 http://127.0.0.1:8123/runs/flow-run/1
15:47:39 2 worker(s) x 1 thread(s) on 2 core(s); batches of 12 windows
15:47:39 Memory: 1.21 GB for each worker, 0.13 GB of weights once, of 23.5 GB free
15:47:40 Chunk length 600 s, total 900.0 s, 2 chunk(s)
15:47:40 Transcribing: progress 0 % (0/2)
15:47:41 Chunk 1 of 2 started: 0:00:00-0:09:01, 450.8 s, pid 41
15:47:41 Chunk 2 of 2 started: 0:09:01-0:18:00, 449.2 s, pid 42
15:47:59 Chunk 2 of 2 done: 0:09:01-0:18:00, 99 segments, 18.5 s, 29.2 x real time, CPU 99 %
15:47:59 Chunk 2 of 2: int8, 17 windows, 1 fell back, 0 heard again, 0.91 GB at most
15:47:59 Workers and model were ready after 3.6 s
15:47:59 Finished chunk 2 of 2, 99 segments; progress 50 % (1/2), about 0:00:01 left
15:48:00 Chunk 1 of 2 done: 0:00:00-0:09:01, 98 segments, 19.1 s, 28.3 x real time, CPU 99 %
15:48:00 Chunk 1 of 2: int8, 18 windows, 2 fell back, 0 heard again, 0.92 GB at most
15:48:00 Done in 34.2 s (31.6 x real time): 197 segments, 12 improved, 2 chunk(s)
"""


def without(text: str) -> str:
    return "".join(line for line in LOG.splitlines(keepends=True) if text not in line)


def test_work_is_what_the_flow_took_less_its_wait() -> None:
    assert working_s(LOG) == pytest.approx(30.6)
    for missing in ("Done in", "were ready"):
        with pytest.raises(ValueError, match=missing):
            working_s(without(missing))


def test_how_the_machine_was_used() -> None:
    assert sized(LOG) == Sized(workers=2, batch_size=12, longest_chunk_s=450.8)
    with pytest.raises(ValueError, match="started"):
        sized(without("started"))


def test_windows_of_all_chunks() -> None:
    assert windows_and_fallbacks(LOG) == (35, 3)


def test_work_of_the_chunks_themselves() -> None:
    assert chunks_core_s(LOG) == pytest.approx(0.99 * (18.5 + 19.1))


def test_from_the_first_chunk_to_the_last() -> None:
    lines = list(enumerate(LOG.splitlines(), start=1))
    assert transcribing_s(lines) == 13 - 7
    for missing in ("started", "done:"):
        with pytest.raises(ValueError, match="no chunk"):
            transcribing_s(list(enumerate(without(missing).splitlines())))


def test_the_first_chunk_under_way() -> None:
    lines = list(enumerate(LOG.splitlines(), start=1))
    assert seconds_to_first_chunk(lines) == 7
    with pytest.raises(ValueError, match="no chunk"):
        seconds_to_first_chunk(lines[:6])


def test_the_command_and_what_it_wrote(tmp_path: Path) -> None:
    command = command_line(Path("talk.flac"), "demo", tmp_path, ["--speed", "1.0"])
    assert Path(command[0]).name == "longscribe"
    assert command[-2:] == ["--speed", "1.0"]
    (tmp_path / "talk").mkdir()
    (tmp_path / "talk" / "talk.json").write_text(json.dumps({"text": " Hello."}))
    assert written_transcript(Path("talk.flac"), tmp_path) == {"text": " Hello."}
