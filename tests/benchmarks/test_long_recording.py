import pytest

from benchmarks.long_recording import Busy, Sample, busy


def test_cores_count_as_busy_only_between_the_first_and_the_last_line_about_a_chunk() -> None:
    before = b"12:00:00 Chunk length 600 s, total 1200.0 s, 2 chunk(s)\n"
    started = b"12:00:01 Chunk 1 of 2 started: 0:00:00-0:10:00, 600.0 s, pid 7\n"
    done = b"12:00:05 Chunk 1 of 2 done: 0:00:00-0:10:00, 3 segments, 4.0 s, CPU 97 %, pid 7\n"
    after = b"12:00:09 Done in 9.0 s\n"
    at = [len(before), len(before + started), len(before + started + done)]
    samples = [
        Sample(0.0, 0.0, 0.0, 0),
        Sample(1.0, 0.5, 1.5, at[0]),
        Sample(2.0, 1.0, 3.0, at[1]),
        Sample(4.0, 4.5, 6.8, at[1]),
        Sample(6.0, 7.0, 10.0, at[2]),
        Sample(9.0, 7.0, 16.0, at[2] + len(after)),
    ]
    assert busy(samples, before + started + done + after, 2) == Busy(
        pytest.approx(6.0 / 8.0), pytest.approx(7.0 / 8.0)
    )
