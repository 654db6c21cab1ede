"""The flow's parameters are the options of a run: their names, order, defaults, types, limits."""

import inspect
from typing import Any

import cloudpickle
import pytest
from pydantic import TypeAdapter, ValidationError

from longscribe.errors import OptionError
from longscribe.flows.parameters import taking_options
from longscribe.flows.transcribe import transcribe
from longscribe.options import DEFAULT_FORMATS, OPTIONS, Option, RunOptions, check_options

PARAMETERS = inspect.signature(transcribe.fn).parameters


@taking_options
def taken(options: RunOptions) -> RunOptions:
    """Give them back."""
    return options


def test_names_order_and_defaults_are_the_options() -> None:
    assert list(PARAMETERS) == [option.name for option in OPTIONS]
    assert list(inspect.signature(taken).parameters) == list(PARAMETERS)
    for name, field in RunOptions.model_fields.items():
        default = PARAMETERS[name].default
        if field.is_required():
            assert default is inspect.Parameter.empty
        else:
            assert (tuple(default) if isinstance(default, list) else default) == field.default


def test_the_schema_has_what_the_form_shows() -> None:
    fields = transcribe.parameters.properties
    assert transcribe.parameters.required == ["recording"]
    assert fields["task"]["enum"] == ["transcribe", "translate"]
    automatic, tempo = fields["speed"]["anyOf"]
    assert automatic["const"] == fields["speed"]["default"] == "auto"
    assert (tempo["type"], tempo["minimum"], tempo["maximum"]) == ("number", 0.5, 2.0)
    assert fields["formats"]["default"] == list(DEFAULT_FORMATS)
    assert fields["glossary"]["default"] == fields["hotwords"]["default"] == []
    assert [kind["type"] for kind in fields["workers"]["anyOf"]] == ["string", "integer"]
    assert [kind["type"] for kind in fields["beam_size"]["anyOf"]] == ["integer", "null"]
    assert fields["speed"]["description"].endswith("at 1.0. Number, 0.5 to 2, or auto.")
    assert fields["device"]["description"].startswith("cpu or cuda; auto takes")
    assert [field["position"] for field in fields.values()] == list(range(len(OPTIONS)))


@pytest.mark.parametrize("option", OPTIONS, ids=lambda option: option.name)
def test_the_schema_has_the_limits_that_are_told(option: Option) -> None:
    parameter = TypeAdapter(PARAMETERS[option.name].annotation)
    for limit, beyond in ((option.at_least, -1), (option.at_most, 1), (option.above, 0)):
        if limit is not None:
            with pytest.raises(ValidationError):
                parameter.validate_python(limit + beyond)
    for limit in (option.at_least, option.at_most):
        if limit is not None:
            parameter.validate_python(limit)
    if option.takes_auto:
        parameter.validate_python("auto")
    for choice in option.choices:
        parameter.validate_python([choice] if option.is_list else choice)


def test_a_call_is_checked_as_everywhere() -> None:
    expected = check_options(recording="a.wav", model="demo", glossary=("x",), formats="txt")
    assert taken("a.wav", "demo", formats=["txt"], glossary=["x"]) == expected
    assert taken(recording="a.wav") == check_options(recording="a.wav")
    with pytest.raises(OptionError, match="--speed"):
        taken("a.wav", speed=9)
    with pytest.raises(TypeError, match="recording"):
        taken()
    with pytest.raises(TypeError, match="no_such"):
        taken("a.wav", no_such=1)


def test_bad_options_fail_the_run_with_their_sentence() -> None:
    state: Any = transcribe(recording="a.wav", language="klingon", return_state=True)
    assert state.is_failed()
    assert state.message.startswith("--language: 'klingon' is not a language")


def test_the_flow_can_be_pickled_with_its_parameters() -> None:
    again = cloudpickle.loads(cloudpickle.dumps(transcribe))
    assert again.parameters == transcribe.parameters
    assert list(inspect.signature(again.fn).parameters) == list(PARAMETERS)
