"""What anybody may ask without a token: whether the service lives (`/healthz`) and can work (`/readyz`), its
public keys, the script that checks certificates, and the JSON Schema of reports.
"""

from __future__ import annotations

from pathlib import Path

from apiflask import APIBlueprint
from flask import Response
from flask.typing import ResponseReturnValue

from audit import verify_alone
from audit.errors import KeyProblem
from audit.keys import KeyRing, public_list
from audit.schema import schema_document
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


@system.get("/.well-known/unwrite-keys.json")
@system.doc(hide=True)
def public_keys() -> Response:
    """The public keys of this installation, as verifiers take them (trusted.json)."""
    try:
        keys = KeyRing(services().settings.resolved_signing_keys()).public()
    except KeyProblem as error:
        raise Problem(503, "not_ready", "The signing keys cannot be read; see `unwrite doctor`.") from error
    return Response(public_list(keys), mimetype="application/json")


@system.get("/verify.py")
@system.doc(hide=True)
def verifier() -> Response:
    """The verifier that needs nothing of ours."""
    response = Response(Path(verify_alone.__file__).read_bytes(), mimetype="text/x-python")
    response.headers["Content-Disposition"] = 'attachment; filename="verify.py"'
    return response


@system.get("/report.schema.json")
@system.doc(hide=True)
def report_schema() -> Response:
    """The JSON Schema of the reports that this version makes."""
    return Response(schema_document(), mimetype="application/schema+json")
