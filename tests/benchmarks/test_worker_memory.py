from benchmarks.command import Sized
from benchmarks.process_tree import Workers
from benchmarks.widen import DEMO_CHECKPOINT
from benchmarks.worker_memory import Case, Held, estimated_bytes, table_line


def held(workers: int, pss_bytes: int) -> Held:
    seen = Workers(workers, pss_bytes, pss_bytes - 100_000_000)
    return Held(Case("base", "int8", workers), Sized(workers, 12, 300.4), seen, 2 * 10**9, 44.4)


def test_two_workers_are_compared_with_one() -> None:
    one, two = held(1, 800_000_000), held(2, 1_000_000_000)
    assert table_line(one, one).startswith("| base | int8 | 1 | 12 | 300 | 800 | 1.00 | 700 |")
    assert table_line(two, one) == "| base | int8 | 2 | 12 | 300 | 1000 | 1.25 | 900 | 2000 | 44 |"
    assert "| 1000 |  | 900 |" in table_line(two, None)


def test_the_estimate_counts_the_weights_once() -> None:
    def estimate(workers: int, precision: str = "int8", duration_s: float = 600.0) -> int:
        case = Case("demo", precision, workers)
        return estimated_bytes(DEMO_CHECKPOINT, case, 8, duration_s)

    own_bytes = estimate(2) - estimate(1)
    weights_bytes = estimate(1) - own_bytes
    assert estimate(3) == weights_bytes + 3 * own_bytes
    assert 0 < weights_bytes < DEMO_CHECKPOINT.stat().st_size * 2
    assert estimate(1, "float32") > estimate(1)
    # Chunks are 10 accelerated minutes at most.
    assert estimate(1) < estimate(1, duration_s=720.0) == estimate(1, duration_s=7200.0)
