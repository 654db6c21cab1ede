import gc

import pytest

from longscribe.runtime.importing import without_collections


def test_what_is_made_within_is_never_collected_and_the_collector_is_on_again() -> None:
    frozen = gc.get_freeze_count()
    try:
        with without_collections():
            assert not gc.isenabled()
        assert gc.isenabled()
        assert gc.get_freeze_count() > frozen
    finally:
        gc.unfreeze()


def test_a_failing_import_leaves_the_collector_on() -> None:
    try:
        with pytest.raises(ImportError), without_collections():
            raise ImportError
        assert gc.isenabled()
    finally:
        gc.unfreeze()
