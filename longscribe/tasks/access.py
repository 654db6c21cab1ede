"""What this run may read and write: as its process was told, and never everything over the API."""

from longscribe.errors import OptionError
from longscribe.storage.access import ROOTS_VARIABLE, Access
from longscribe.tasks.current_run import is_deployment_s
from longscribe.wording.catalog import translated


def access_of_run() -> Access:
    """What the environment allows this run.

    Raises:
        OptionError: the run was started through a deployment, by whoever may use the API, and the
            worker has no media roots.
    """
    access = Access.from_environment()
    if is_deployment_s() and access.media_roots is None:
        raise OptionError(
            translated(
                "{variable} is not set where the worker runs; set it to the folders that runs may "
                "read and write."
            ).format(variable=ROOTS_VARIABLE)
        )
    return access
