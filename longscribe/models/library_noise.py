"""What libraries say of themselves, kept out of terminals and logs."""

import logging
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager


@contextmanager
def without_noise(loggers: Iterable[str], level: int = logging.CRITICAL) -> Iterator[None]:
    """Within the block no warning is shown, and of some loggers only what is grave.

    Args:
        loggers: their names, where an import sets their levels after that import.
        level: from which on something is shown.
    """
    of_library = [logging.getLogger(name) for name in loggers]
    levels = [logger.level for logger in of_library]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for logger in of_library:
            logger.setLevel(level)
        try:
            yield
        finally:
            for logger, before in zip(of_library, levels, strict=True):
                logger.setLevel(before)
