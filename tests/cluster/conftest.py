import pytest

pytest.importorskip("distributed", reason="the extra `dask` is not installed")


@pytest.fixture(scope="session", autouse=True)
def server(prefect_server: None) -> None:
    """Every test here runs flows."""
