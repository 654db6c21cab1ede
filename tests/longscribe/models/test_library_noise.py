"""What libraries say of themselves."""

import logging
import warnings

import pytest

from longscribe.models.library_noise import without_noise

NAME = "tests.noise"


def test_only_what_is_grave_is_told_and_levels_come_back(
    caplog: pytest.LogCaptureFixture,
) -> None:
    logger = logging.getLogger(NAME)
    logger.setLevel(logging.INFO)

    def load() -> None:
        with without_noise([NAME], logging.ERROR):
            warnings.warn("deprecated", DeprecationWarning, stacklevel=1)  # an error in these tests
            logger.warning("little")
            logger.error("much")
            raise KeyError

    with pytest.raises(KeyError):
        load()
    logger.info("afterwards")
    assert caplog.messages == ["much", "afterwards"]
    with pytest.raises(DeprecationWarning):
        warnings.warn("deprecated", DeprecationWarning, stacklevel=1)
