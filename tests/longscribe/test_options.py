from typing import Any

import pytest

from longscribe.errors import OptionError
from longscribe.options import FORMATS, check_options, parse_bytes


def test_defaults() -> None:
    options = check_options(recording="a.wav")
    assert (options.model, options.speed, options.chunk_minutes) == ("turbo", 1.2, 10.0)
    assert options.formats == FORMATS
    assert options.memory_per_worker_bytes is None
    assert options.for_chunks.temperatures == (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"speed": 3.0}, "--speed: .*less than or equal to 2.*3.0"),
        ({"speed": 0.1}, "--speed"),
        ({"speed": float("nan")}, "--speed"),
        ({"chunk_minutes": 0}, "--chunk-minutes"),
        ({"workers": 0}, "--workers"),
        ({"workers": "many"}, "--workers"),
        ({"threads_per_worker": -1}, "--threads-per-worker"),
        ({"memory_per_worker": "a lot"}, "--memory-per-worker.*4GB"),
        ({"memory_per_worker": "0"}, "--memory-per-worker"),
        ({"language": "klingon"}, "--language.*klingon"),
        ({"formats": "pdf"}, "--formats.*pdf.*txt, srt"),
        ({"formats": []}, "--formats"),
        ({"task": "sing"}, "--task"),
        ({"model": ""}, "--model"),
        ({"recording": ""}, "--recording"),
        ({"temperature": 2.0}, "--temperature"),
        ({"suppress_tokens": "a,b"}, "--suppress-tokens"),
        ({"patience": 1.0}, "patience needs beam_size"),
        ({"no_such_option": 1}, "--no-such-option"),
    ],
)
def test_bad_values_get_one_sentence_that_names_the_option(
    values: dict[str, Any], says: str
) -> None:
    with pytest.raises(OptionError, match=says) as caught:
        check_options(**{"recording": "a.wav", **values})
    assert "\n" not in str(caught.value)


def test_sizes() -> None:
    assert parse_bytes("4GB") == 4_000_000_000
    assert parse_bytes("800 MiB") == 800 * 2**20
    assert parse_bytes("2.5") == 2_500_000_000


def test_formats_as_upstream_spells_them() -> None:
    assert check_options(recording="a", formats="all").formats == FORMATS
    assert check_options(recording="a", formats="srt,txt,srt").formats == ("srt", "txt")


def test_temperatures_as_upstream_builds_them() -> None:
    options = check_options(recording="a", temperature=0.4, temperature_increment_on_fallback=0.3)
    assert options.for_chunks.temperatures == (0.4, 0.7, 1.0)
    single = check_options(recording="a", temperature_increment_on_fallback=None)
    assert single.for_chunks.temperatures == (0.0,)
