from typing import Any

import pytest

from longscribe.errors import OptionError
from longscribe.options import DEFAULT_FORMATS, FORMATS, DecodingOptions, check_options, parse_bytes


def test_defaults() -> None:
    options = check_options(recording="a.wav")
    assert (options.model, options.speed, options.chunk_minutes) == ("turbo", "auto", 10.0)
    assert (options.tempo, options.hears_again) == (1.2, True)
    assert options.formats == DEFAULT_FORMATS
    assert options.memory_per_worker_bytes is None
    assert (options.decoding, options.precision, options.device) == ("batched", "auto", "auto")
    assert options.for_chunks.temperatures == (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"speed": 3.0}, "--speed: .*less than or equal to 2.*3.0"),
        ({"speed": 0.1}, "--speed"),
        ({"speed": float("nan")}, "--speed"),
        ({"chunk_minutes": 0}, "--chunk-minutes"),
        ({"workers": 0}, "--workers: .*greater than or equal to 1.*0"),
        ({"speed": "fast"}, "--speed: .*'auto'"),
        ({"workers": "many"}, "--workers"),
        ({"threads_per_worker": -1}, "--threads-per-worker"),
        ({"memory_per_worker": "a lot"}, "--memory-per-worker.*4GB"),
        ({"memory_per_worker": "0"}, "--memory-per-worker"),
        ({"language": "klingon"}, "--language.*klingon"),
        ({"language": "zh-CN,en,zh-TW"}, "--language.*give one of zh-Hans and zh-TW"),
        ({"formats": "pdf"}, "--formats.*pdf.*txt, srt"),
        ({"formats": []}, "--formats"),
        ({"task": "sing"}, "--task"),
        ({"model": ""}, "--model"),
        ({"recording": ""}, "--recording"),
        ({"temperature": 2.0}, "--temperature"),
        ({"suppress_tokens": "a,b"}, "--suppress-tokens"),
        ({"patience": 1.0}, "patience needs beam_size"),
        ({"no_such_option": 1}, "--no-such-option"),
        ({"decoding": "fast"}, "--decoding.*batched"),
        ({"precision": "int4"}, "--precision.*int8"),
        ({"device": "tpu"}, "--device.*cuda"),
        ({"batch_size": 0}, "--batch-size"),
        ({"batch_size": "large"}, "--batch-size"),
        ({"condition_on_previous_text": True}, "needs --decoding sequential"),
        ({"decoding": "sequential", "precision": "int8"}, "int8 needs --decoding batched"),
        ({"decoding": "sequential", "precision": "bfloat16"}, "bfloat16 needs --decoding batched"),
        ({"speakers": "some"}, "--speakers: 'some' is no way.*off, channels, auto"),
        ({"speakers": 0}, "--speakers: .*from 1 to 20"),
        ({"speakers": "5-2"}, "--speakers: 5-2: from 1 to 20"),
        ({"speakers": "2-21"}, "--speakers: 2-21: from 1 to 20"),
        ({"speaker_names": "Ana,Rui,Ana"}, "--speaker-names: 'Ana' is there twice"),
        ({"speaker_names": 5}, "--speaker-names"),
        ({"speaker_marks": "colours"}, "--speaker-marks: .*'dashes'"),
        ({"together": ["b.wav"], "speakers": "auto"}, "--speakers: of several files together"),
        ({"together": [""]}, "--together: give the path of a recording"),
        ({"together": ["a\0.wav"]}, "--together: give the path of a recording"),
    ],
)
def test_bad_values_get_one_sentence_that_names_the_option(
    values: dict[str, Any], says: str
) -> None:
    with pytest.raises(OptionError, match=says) as caught:
        check_options(**{"recording": "a.wav", **values})
    assert "\n" not in str(caught.value)


def test_a_number_keeps_the_tempo_fixed() -> None:
    options = check_options(recording="a.wav", speed=1.2)
    assert (options.tempo, options.hears_again) == (1.2, False)
    upstream_s = check_options(recording="a.wav", decoding="sequential")
    assert (upstream_s.tempo, upstream_s.hears_again) == (1.2, False)


def test_what_needs_the_other_way_of_decoding_is_accepted_there() -> None:
    options = check_options(
        recording="a.wav", decoding="sequential", condition_on_previous_text=True
    )
    assert options.condition_on_previous_text
    assert check_options(recording="a.wav", decoding="sequential", precision="float16")
    assert check_options(recording="a.wav", precision="int8")


def test_chunks_get_the_decoder_s_options_and_no_others() -> None:
    """A worker must not see what is none of its business, and what it sees must be the user's."""
    given = {
        "decoding": "sequential",
        "precision": "float32",
        "device": "cpu",
        "language": "pt",
        "task": "translate",
        "initial_prompt": "Ana",
        "hotwords": ("Ana Lima", "Longscribe"),
        "verbatim": True,
        "temperature": 0.2,
        "best_of": 3,
        "temperature_increment_on_fallback": 0.4,
        "beam_size": 4,
        "patience": 2.0,
        "length_penalty": 0.5,
        "suppress_tokens": "50",
        "condition_on_previous_text": True,
        "word_timestamps": True,
        "compression_ratio_threshold": 2.0,
        "logprob_threshold": -0.5,
        "no_speech_threshold": 0.3,
    }
    assert set(given) == set(DecodingOptions.model_fields)
    chunk_options = check_options(recording="a.wav", batch_size=7, **given).for_chunks
    assert chunk_options.model_dump() == given


def test_hotwords_are_searched_with_beams_unless_a_number_is_given() -> None:
    assert DecodingOptions().beams == 1
    assert DecodingOptions(hotwords=("Ana",)).beams == 3
    assert DecodingOptions(hotwords=("Ana",), beam_size=1).beams == 1
    assert DecodingOptions(beam_size=4).beams == 4


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


@pytest.mark.parametrize(
    ("given", "kept", "told", "possible"),
    [
        ("pt-BR", "pt", "pt", ("pt",)),
        ("en, Portuguese", "en,pt", None, ("en", "pt")),
        ("en,auto", "auto", None, ()),
        ("en,en", "en", "en", ("en",)),
        ("zh-tw", "zh-TW", "zh", ("zh",)),
        ("en, zh_SG", "en,zh-Hans", None, ("en", "zh")),
        ("zh-HK,zh", "zh-HK", "zh", ("zh",)),
        ("zh,zh-HK", "zh-HK", "zh", ("zh",)),
    ],
)
def test_several_languages_may_be_named(
    given: str, kept: str, told: str | None, possible: tuple[str, ...]
) -> None:
    options = DecodingOptions(language=given)
    assert options.language == kept
    assert (options.told_language, options.possible_languages) == (told, possible)


def test_how_chinese_is_written_is_no_matter_of_the_decoder() -> None:
    options = check_options(recording="a", language="en,zh-TW")
    assert options.chinese_scripts == {"zh": "TW"}
    assert options.for_chunks.language == "en,zh"
    assert check_options(recording="a", language="auto").for_chunks.language == "auto"


@pytest.mark.parametrize(
    ("language", "scripts"),
    [
        ("auto", {}),
        ("zh,yue", {}),
        ("zh-CN,yue", {"zh": "Hans"}),
        ("zh-HK", {"zh": "HK", "yue": "HK"}),
        ("zh-HK,yue-Hans", {"zh": "HK", "yue": "Hans"}),
    ],
)
def test_scripts_of_chinese(language: str, scripts: dict[str, str]) -> None:
    assert DecodingOptions(language=language).chinese_scripts == scripts


@pytest.mark.parametrize(
    ("given", "kept", "count"),
    [
        ("off", "off", None),
        ("channels", "channels", None),
        (" Auto", "auto", (1, 20)),
        (3, "3", (3, 3)),
        ("2 - 5", "2-5", (2, 5)),
        ("4-4", "4", (4, 4)),
    ],
)
def test_ways_to_tell_speakers(given: object, kept: str, count: tuple[int, int] | None) -> None:
    options = check_options(recording="a", speakers=given)
    assert (options.speakers, options.voice_count) == (kept, count)


@pytest.mark.parametrize("given", ["built-in", "community-1", "./copy", "~/copy", "/a/copy"])
def test_networks_that_tell_voices_apart(given: str) -> None:
    options = check_options(recording="a", speakers="auto", diarization_model=given)
    assert options.diarization_model == given


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"diarization_model": "community"}, "--diarization-model: there are no networks 'commun"),
        ({"diarization_model": ""}, "--diarization-model: there are no networks ''"),
        ({"diarization_model": "./a\0"}, "--diarization-model: there are no networks './a"),
        (
            {"diarization_model": "community-1", "speakers": "channels"},
            "--diarization-model: it is",
        ),
        ({"diarization_model": "community-1", "known_voices": True}, "--known-voices: voices are"),
    ],
)
def test_networks_that_cannot_be_chosen(values: dict[str, Any], sentence: str) -> None:
    with pytest.raises(OptionError) as refused:
        check_options(**{"recording": "a.wav", "speakers": "auto"} | values)
    assert str(refused.value).startswith(sentence)


def test_names_of_speakers_are_a_list_or_one_text() -> None:
    for given in ("Host, Guest", ["Host,Guest"], ("Host", " Guest", "")):
        assert check_options(recording="a", speaker_names=given).speaker_names == ("Host", "Guest")


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"runner": "dask"}, "--address: --runner dask needs the address of the Dask scheduler"),
        ({"address": "tcp://10.0.0.1:8786"}, "--address: it is for --runner dask."),
        ({"runner": "dask", "address": "10.0.0.1"}, "--address: give the address that"),
        ({"runner": "slurm"}, "--runner: input should be 'processes' or 'dask'"),
    ],
)
def test_a_cluster_has_an_address(values: dict[str, Any], sentence: str) -> None:
    with pytest.raises(OptionError) as refused:
        check_options(recording="a.wav", **values)
    assert str(refused.value).startswith(sentence)
