"""What a request gets instead of an answer: a status and a sentence."""

from collections.abc import Mapping
from typing import Any


class Problem(Exception):
    """A request that cannot be answered as it is.

    Args:
        status: of HTTP.
        sentence: what is wrong and what to do.
        field: of the request; None for none.
        code: a word for programs.
        headers: of the answer.
    """

    def __init__(
        self,
        status: int,
        sentence: str,
        field: str | None = None,
        code: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(sentence)
        self.status = status
        self.sentence = sentence
        self.field = field
        self.code = code
        self.headers = dict(headers or {})


def openai_error(problem: Problem) -> dict[str, Any]:
    """A problem in the form of OpenAI's API."""
    kinds = {401: "authentication_error", 403: "permission_error", 429: "rate_limit_error"}
    kind = "server_error" if problem.status >= 500 else "invalid_request_error"
    return {
        "error": {
            "message": problem.sentence,
            "type": kinds.get(problem.status, kind),
            "param": problem.field,
            "code": problem.code,
        }
    }
