"""What a request gets instead of an answer: a status and a sentence."""

from collections.abc import Mapping


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
