"""What can go wrong with weights that are fetched, each in one sentence with what to do."""

import httpx

from longscribe.errors import ModelError
from longscribe.wording.catalog import translated


def not_fetched(name: str, url: str, error: httpx.HTTPError, remedy: str) -> ModelError:
    """The error for weights that cannot be had.

    Args:
        name: of the model.
        url: of the weights.
        error: of the transfer.
        remedy: the end of the sentence.
    """
    if isinstance(error, httpx.HTTPStatusError):
        sentence = translated(
            "the weights of {name} cannot be fetched: the server answered {status} for {url}; "
            "{remedy}"
        )
        status = error.response.status_code
        return ModelError(sentence.format(name=name, status=status, url=url, remedy=remedy))
    sentence = translated("the weights of {name} cannot be fetched ({reason}); {remedy}")
    return ModelError(sentence.format(name=name, reason=_reason(error), remedy=remedy))


def broken_off(name: str, url: str, error: httpx.HTTPError) -> ModelError:
    """The error for weights that did not come whole, or not at all."""
    if isinstance(error, httpx.HTTPStatusError):
        return not_fetched(name, url, error, by_hand())
    goes_on = translated("what arrived is kept and the next try goes on from there; {remedy}")
    return not_fetched(name, url, error, goes_on.format(remedy=by_hand()))


def wrong_digest(name: str, url: str) -> ModelError:
    """The error for weights that came whole, and are not what they should be."""
    sentence = translated(
        "the weights of {name} came with the wrong sha256 twice (from {url}); nothing was kept; "
        "{remedy}"
    )
    return ModelError(sentence.format(name=name, url=url, remedy=by_hand()))


def by_hand() -> str:
    """How weights come here without us, as the end of a sentence."""
    return translated("without network, copy the file here by hand and give its path to --model.")


def _reason(error: httpx.HTTPError) -> str:
    if isinstance(error, httpx.ConnectError):
        return translated("no connection")
    if isinstance(error, httpx.TimeoutException):
        return translated("the server does not answer")
    return translated("the connection broke off")
