import pytest

from longscribe.audio.chunks import Chunk
from longscribe.monitoring.resources import ProcessSample, ResourceSample
from longscribe.monitoring.run_record import AtWork, RunRecorder
from longscribe.transcript import ChunkTranscript
from tests.chunks import chunk
from tests.segments import segment


def two_minutes(index: int, count: int = 4, sound_s: float = 98.0) -> Chunk:
    return chunk(
        index,
        count=count,
        start_sample=index * 1_600_000,
        stop_sample=(index + 1) * 1_600_000,
        original_start_s=120.0 * index,
        original_end_s=120.0 * (index + 1),
        sound=((0.0, sound_s),),
    )


def result(index: int, start_s: float, seconds: float = 10.0, pid: int = 7, **values: object):
    return ChunkTranscript(
        **{
            "index": index,
            "language": "en",
            "language_probability": None,
            "segments": (segment(0.0, 1.0, " Two words."), segment(1.0, 2.0, " Three more words.")),
            "windows": 4,
            "fallbacks": 1,
            "precision": "int8",
            "seconds": seconds,
            "ready_at_s": start_s,
            "cpu_percent": 98.0,
            "peak_memory_bytes": 700_000_000,
            "pid": pid,
            **values,
        }
    )


def sample(at_s: float, *pids: int) -> ResourceSample:
    workers = tuple(ProcessSample(pid, 90.0, 100) for pid in pids)
    return ResourceSample(at_s, workers, 90.0 * len(pids) + 10.0, 100 * len(pids) + 50)


def test_a_run_chunk_by_chunk() -> None:
    chunks = [two_minutes(index) for index in range(4)]
    recorder = RunRecorder(chunks, workers=2, cores=2, began_s=1000.0)
    recorder.kept(chunks[0], result(0, 5.0, pid=99))
    recorder.begin()
    recorder.seen([AtWork(7, 1, 1001.0), AtWork(8, 2, 1001.0)], sample(1002.0, 7, 8), 1002.0)
    outcomes = [row.outcome for row in recorder.rows()]
    assert outcomes == ["kept", "running", "running", "waiting"]
    assert recorder.status(1002.0).left_s is None

    recorder.finished(chunks[1], result(1, 1001.0), 1011.0)
    recorder.seen([AtWork(8, 2, 1001.0), AtWork(7, 3, 1011.0)], sample(1012.0, 7, 8), 1012.0)
    status = recorder.status(1012.0)
    assert (status.done, status.total) == (2, 4)
    assert status.left_s == pytest.approx(9.0)  # of ten seconds for chunk 3, one is over
    assert status.percent == pytest.approx(25.0 + 25.0 + 25.0 * 0.97 + 2.5)
    assert status.x_real_time == pytest.approx(120.0 / 12.0)
    assert [(w.pid, w.chunk, w.x_real_time) for w in status.workers] == [
        (7, "4 of 4", 12.0),
        (8, "3 of 4", None),
    ]
    assert status.workers[0].fraction == pytest.approx(0.1)
    assert (status.cpu_percent, status.memory_bytes) == (190.0, 250)

    recorder.failed(chunks[2], "its worker died 3 times")
    recorder.finished(chunks[3], result(3, 1011.0), 1021.0)
    recorder.seen([], sample(1022.0, 7), 1022.0)
    record = recorder.record(1022.0)
    assert [row.outcome for row in record.chunks] == ["kept", "done", "failed", "done"]
    assert record.chunks[2].reason == "its worker died 3 times"
    row = record.chunks[1]
    assert (row.segments, row.words, row.fallbacks, row.attempts, row.pid) == (2, 5, 1, 1, 7)
    assert (row.seconds, row.x_real_time, row.language) == (10.0, 12.0, "en")
    assert recorder.percent == 100.0
    assert recorder.status(1022.0).left_s == 0.0
    assert record.seconds == 22.0
    assert record.cores_busy == pytest.approx((1.9 + 1.9 + 1.0) / 3)
    assert record.peak_memory_bytes == 250
    assert [one.at_s for one in record.samples] == [2.0, 12.0, 22.0]


def test_a_chunk_that_lost_its_worker_was_tried_twice() -> None:
    recorder = RunRecorder([two_minutes(0, 1)], workers=1, cores=2, began_s=0.0)
    recorder.begin()
    recorder.seen([AtWork(7, 0, 1.0)], None, 2.0)
    recorder.seen([AtWork(7, 0, 1.0)], None, 9.0)
    recorder.seen([AtWork(8, 0, 20.0)], None, 21.0)
    recorder.finished(two_minutes(0, 1), result(0, 20.0, pid=8), 30.0)
    record = recorder.record(31.0)
    assert [(a.pid, a.start_s, a.end_s, a.finished) for a in record.attempts] == [
        (7, 1.0, 9.0, False),
        (8, 20.0, 30.0, True),
    ]
    assert record.chunks[0].attempts == 2


def test_the_time_between_chunks_is_learnt() -> None:
    """Twenty short chunks whose worker needs half a second more for each than the chunk took."""
    chunks = [two_minutes(index, 20) for index in range(20)]
    recorder = RunRecorder(chunks, workers=1, cores=1, began_s=0.0)
    recorder.begin()
    now_s = 0.0
    for index in range(20):
        recorder.finished(chunks[index], result(index, now_s, seconds=2.0), now_s + 2.0)
        left_s = recorder.status(now_s + 2.0).left_s
        truth_s = 2.5 * (19 - index) - (0.5 if index == 19 else 0.0)
        if 1 <= index < 19:
            assert left_s == pytest.approx(truth_s, rel=0.15)
        now_s += 2.5


def test_loading_the_model_teaches_nothing_about_speed() -> None:
    chunks = [two_minutes(index, 2) for index in range(2)]
    recorder = RunRecorder(chunks, workers=1, cores=1, began_s=0.0)
    recorder.begin()
    recorder.finished(chunks[0], result(0, 60.0, seconds=70.0, load_s=60.0), 70.0)
    assert recorder.status(70.0).left_s == pytest.approx(10.0)


def test_loading_is_no_progress_of_a_worker_s_first_chunk() -> None:
    chunks = [two_minutes(index, 4) for index in range(4)]
    recorder = RunRecorder(chunks, workers=2, cores=2, began_s=0.0)
    recorder.begin()
    recorder.finished(chunks[0], result(0, 4.0, seconds=14.0, load_s=4.0), 14.0)
    recorder.seen([AtWork(8, 1, 5.0), AtWork(7, 2, 14.0)], sample(14.0, 7, 8), 14.0)
    fractions = {w.pid: w.fraction for w in recorder.status(14.0).workers}
    assert fractions[8] == pytest.approx(5.0 / 10.0)  # nine seconds, four of them loading
    assert fractions[7] == 0.0
