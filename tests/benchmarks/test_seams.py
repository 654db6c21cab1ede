from benchmarks.seams import SeamCount, compare_at_seams
from tests.segments import segment, transcript

WHOLE = transcript(
    segment(0.0, 3.0, " The train leaves at nine."),
    segment(95.0, 99.0, " We meet in the garden."),
    segment(101.0, 104.0, " Helen signed the report."),
)


def test_equal_transcripts_lose_nothing() -> None:
    chunked = WHOLE.model_copy(update={"seams_s": (100.0,)})
    assert compare_at_seams(chunked, WHOLE) == SeamCount(1, 0, 0, 0, 9)


def test_lost_doubled_and_replaced_words_are_told_apart() -> None:
    chunked = transcript(
        segment(0.0, 3.0, " This is far away and does not count."),
        segment(95.0, 99.0, " We meet in the."),
        segment(101.0, 104.0, " Helen signed signed a report."),
        seams_s=(100.0,),
    )
    assert compare_at_seams(chunked, WHOLE) == SeamCount(1, 1, 1, 1, 9)


def test_no_seams() -> None:
    assert compare_at_seams(WHOLE, WHOLE) == SeamCount(0, 0, 0, 0, 0)
