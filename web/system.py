"""Whether the service lives (`/healthz`) and whether it can work (`/readyz`); for load balancers, without a
token.
"""

from __future__ import annotations

from apiflask import APIBlueprint
from flask.typing import ResponseReturnValue

from store.errors import StoreError
from web.api.outputs import Health
from web.context import services
from web.problems import Problem

system = APIBlueprint("system", __name__, tag="Health")


@system.get("/healthz")
@system.output(Health)
def healthz() -> ResponseReturnValue:
    """Tell whether the process answers"""
    return {"status": "ok"}


@system.get("/readyz")
@system.output(Health)
def readyz() -> ResponseReturnValue:
    """Tell whether the database answers and has the newest schema"""
    try:
        current = services().database.is_current()
    except StoreError as error:
        raise Problem(503, "not_ready", "The database cannot be used; see `unwrite doctor`.") from error
    if not current:
        raise Problem(503, "not_ready", "The database has not the newest schema; run `unwrite migrate`.")
    return {"status": "ok"}
