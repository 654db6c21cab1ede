"""What so many hours of recording a day need, for programs."""

from typing import Annotated

from fastapi import APIRouter, Query

from longscribe.capacity.load import Load
from longscribe.capacity.plan import Plan, plan_for
from longscribe.errors import OptionError
from longscribe.web.callers import Reader
from longscribe.web.problems import Problem

router = APIRouter(tags=["planning"])


@router.get("/plan", response_model=Plan)
def planned(_caller: Reader, load: Annotated[Load, Query()]) -> Plan:
    """Workers, cores, memory, disk, database and money for a load, as by `longscribe plan`."""
    try:
        return plan_for(load)
    except OptionError as error:
        field = str(error).partition(":")[0].removeprefix("--")
        raise Problem(400, str(error), field=field, code="invalid_value") from None
