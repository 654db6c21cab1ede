"""What so many hours of recording a day need."""

import itertools
from typing import Any

import pytest

import longscribe
from longscribe.capacity.load import Load
from longscribe.capacity.measured import measured
from longscribe.capacity.plan import MODELS, plan_for
from longscribe.errors import OptionError
from longscribe.models.names import DISTILLED, OFFICIAL
from longscribe.monitoring.pace import times_shown


def test_cores_are_the_sum_of_what_was_measured() -> None:
    known = measured()
    made = plan_for(Load(hours_per_day=480, model="base", recording_minutes=60, chunk_minutes=10))
    chunks = known.base_core_s_per_hour.value
    others = known.run_core_s.value + known.run_core_s_per_hour.value + 6 * known.chunk_core_s.value
    assert made.chunks_core_s_per_hour == pytest.approx(chunks)
    assert made.core_s_per_hour == pytest.approx(chunks + others)
    assert made.cores == pytest.approx(480 * (chunks + others) / 86_400)
    assert (made.runs_per_day, made.chunks_per_run, made.rows_per_day) == (480, 6, 2880)


def test_it_grows_with_the_load_and_up_to_a_million_hours() -> None:
    plans = [plan_for(Load(hours_per_day=10.0**power, model="turbo")) for power in range(7)]
    for smaller, larger in itertools.pairwise(plans):
        assert larger.cores == pytest.approx(10 * smaller.cores)
        assert larger.machines >= smaller.machines
        assert larger.database_bytes == pytest.approx(10 * smaller.database_bytes)
    assert plans[0].machines == plans[0].server_processes == 1
    assert plans[-1].server_processes > 1
    assert any("does not keep up" in note for note in plans[-1].notes)


def test_larger_models_and_lesser_processors_cost_more() -> None:
    def hour(model: str, processor: str) -> float:
        return plan_for(Load(hours_per_day=1, model=model, processor=processor)).core_s_per_hour

    sizes = [hour(model, "avx512-vnni") for model in ("tiny", "base", "small", "medium", "large")]
    assert sizes == sorted(sizes)
    classes = [hour("turbo", name) for name in ("amx", "avx512-vnni", "avx-vnni", "avx2")]
    assert classes == sorted(classes)


def test_one_row_a_recording_spares_the_server() -> None:
    load = Load(hours_per_day=1000, model="base", recording_minutes=600)
    many, one = plan_for(load), plan_for(load.model_copy(update={"rows": "recording"}))
    assert many.rows_per_day == 60 * one.rows_per_day
    assert many.database_bytes > 2 * one.database_bytes
    assert many.requests_per_s > one.requests_per_s
    assert many.cores == one.cores


def test_requests_are_those_of_runs_of_waiting_workers_and_of_what_is_shown() -> None:
    known, load = measured(), Load(hours_per_day=2400, model="turbo", cores_per_machine=16)
    made = plan_for(load)
    of_runs = known.run_requests.value + 6 * known.chunk_requests.value
    shown = times_shown(made.core_s_per_hour / 16)
    asked = made.machines * (1 / 10 + 1 / 30)
    of_showing = shown * known.shown_requests.value
    assert made.requests_per_s == pytest.approx(100 / 3600 * (of_runs + of_showing) + asked)
    of_server = known.run_server_core_s.value + 6 * known.chunk_server_core_s.value
    of_server += shown * known.shown_server_core_s.value
    besides = known.request_server_core_s.value * asked
    at_rest = made.server_processes * known.rest_server_cores.value
    assert made.server_cores == pytest.approx(100 / 3600 * of_server + besides + at_rest)
    of_database = known.run_database_bytes.value + 6 * known.chunk_database_bytes.value
    of_database += shown * known.shown_database_bytes.value
    assert made.database_bytes_per_day == pytest.approx(2400 * of_database)
    silent = plan_for(load.model_copy(update={"rows": "recording"}))
    of_runs = known.recording_run_requests.value + 6 * known.recording_chunk_requests.value
    assert silent.requests_per_s == pytest.approx(100 / 3600 * of_runs + asked)


def test_gpus_decode_and_cores_do_the_rest() -> None:
    load = Load(hours_per_day=100_000, model="large-v3", gpu="h200", core_hour_price=0.05)
    made, known = plan_for(load), measured()
    assert not any("--limit" in note for note in made.notes)
    gpu_s = known.gpu_s_per_hour["h200"]["large"].value
    assert made.gpus == pytest.approx(100_000 * gpu_s / 86_400)
    assert made.chunks_core_s_per_hour == gpu_s
    assert (
        made.core_s_per_hour
        < plan_for(load.model_copy(update={"gpu": "none"})).core_s_per_hour / 20
    )
    assert made.machines >= made.gpus / 0.7
    priced = plan_for(load.model_copy(update={"gpu_hour_price": 3.0}))
    assert priced.price_per_day == pytest.approx(made.machines * 24 * (16 * 0.05 + 3.0))
    assert "turbo on h200" in plan_for(Load(hours_per_day=1, model="turbo", gpu="h200")).estimated
    with pytest.raises(OptionError, match="--gpu: 'abacus'"):
        plan_for(Load(hours_per_day=1, model="base", gpu="abacus"))


def test_the_day_s_hours_spare_and_price_are_counted() -> None:
    load = Load(hours_per_day=10_000, model="turbo", core_hour_price=0.05)
    whole, night = plan_for(load), plan_for(load.model_copy(update={"hours_of_work": 6.0}))
    assert night.cores == pytest.approx(4 * whole.cores)
    assert whole.price_per_day == pytest.approx(whole.machines * 16 * 24 * 0.05)
    assert whole.price_per_hour == pytest.approx(whole.machines * 16 * 24 * 0.05 / 10_000)
    assert plan_for(load.model_copy(update={"core_hour_price": None})).price_per_day is None
    assert plan_for(load.model_copy(update={"spare_percent": 0.0})).machines < whole.machines


def test_every_name_of_a_model_has_a_cost() -> None:
    for name in (*OFFICIAL, "distil-large-v3", "distil-large-v3.5"):
        assert name in MODELS
        assert plan_for(Load(hours_per_day=1, model=name)).core_s_per_hour > 0
    assert set(DISTILLED) - set(MODELS) == {"distil-small.en", "distil-medium.en"}


def test_estimates_are_named() -> None:
    assert "size medium" in plan_for(Load(hours_per_day=1, model="medium")).estimated
    assert "size turbo" not in plan_for(Load(hours_per_day=1, model="turbo")).estimated
    assert "processor avx-vnni" in plan_for(
        Load(hours_per_day=1, model="base", processor="avx-vnni")
    ).estimated  # fmt: skip


@pytest.mark.parametrize(
    ("model", "processor", "words"),
    [("whale", "amx", "--model: 'whale'"), ("base", "z80", "--processor: 'z80'")],
)
def test_what_is_not_known_is_refused(model: str, processor: str, words: str) -> None:
    with pytest.raises(OptionError, match=words):
        plan_for(Load(hours_per_day=1, model=model, processor=processor))


def test_python_gives_what_the_model_says() -> None:
    load = Load(hours_per_day=500, model="base", core_hour_price=0.04, rows="recording")
    assert longscribe.plan(500, "base", core_hour_price=0.04, rows="recording") == plan_for(load)
    assert longscribe.plan(500).load.model == "turbo"


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"hours_per_day": -3}, "--hours-per-day: input should be greater than or equal to 0.001"),
        ({"hours_per_day": float("nan")}, "--hours-per-day: "),
        ({"hours_per_day": "many"}, "--hours-per-day: input should be a valid number"),
        ({"hours_per_day": 1, "cores": 4}, "--cores: "),
        ({"hours_per_day": 1, "rows": "column"}, "--rows: input should be 'chunk' or 'recording'"),
        ({"hours_per_day": 1, "cores_per_machine": 0}, "--cores-per-machine: "),
        ({"hours_per_day": 1, "model": "whale"}, "--model: 'whale' has no known cost"),
    ],
)
def test_python_gets_a_sentence_of_what_is_wrong(values: dict[str, Any], words: str) -> None:
    with pytest.raises(longscribe.OptionError) as refused:
        longscribe.plan(**values)
    said = str(refused.value)
    assert said.startswith(words)
    assert said.endswith(".")
    assert "\n" not in said
