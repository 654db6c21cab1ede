"""The parameters of a flow from the options of a run, for the form of the UI and the API."""

import inspect
from collections.abc import Callable
from functools import wraps
from types import GenericAlias
from typing import Any, TypeVar

from longscribe.options import OPTIONS, Option, RunOptions, check_options

R = TypeVar("R")


def taking_options(function: Callable[[RunOptions], R]) -> Callable[..., R]:
    """Give a flow's function every option of a run as a parameter.

    Prefect makes the schema of its API and the form in its UI of the signature, and of the section
    Args in the docstring, as it would of ones that are written out.

    Raises:
        OptionError: by the function that is returned: a value is not an option's.
    """
    signature = inspect.Signature([_parameter(option) for option in OPTIONS])
    arguments = "\n".join(f"    {option.name}: {_told(option)}" for option in OPTIONS)

    @wraps(function)
    def wrapped(*args: Any, **kwargs: Any) -> R:
        return function(check_options(**signature.bind(*args, **kwargs).arguments))

    # wraps of the decorators around it takes both on.
    wrapped.__doc__ = f"{inspect.getdoc(function) or ''}\n\nArgs:\n{arguments}\n"
    wrapped.__signature__ = signature  # type: ignore[attr-defined]  # inspect asks for it
    return wrapped


def _parameter(option: Option) -> inspect.Parameter:
    kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
    if option.is_required:
        return inspect.Parameter(option.name, kind, annotation=option.annotation)
    default, annotation = option.default, option.annotation
    if option.is_list:  # Prefect needs it as JSON has it
        (item, _) = annotation.__args__
        default, annotation = list(default), GenericAlias(list, (item,))
    return inspect.Parameter(option.name, kind, default=default, annotation=annotation)


def _told(option: Option) -> str:
    """What the form says of an option: plain text, as it shows no Markdown."""
    words = option.description
    if option.has_limits:
        words = f"{words} {option.values[:1].upper()}{option.values[1:]}."
    return words.replace("`", "")
