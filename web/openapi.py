"""The OpenAPI 3.1 document: what APIFlask generates, plus scopes, the Idempotency-Key header and the error
shape.

Also the reference page `/api/docs`, rendered from the same document so that it needs no network.
"""

from __future__ import annotations

import re
from typing import Any, cast

from apiflask import APIFlask
from flask import Blueprint, current_app, render_template
from pydantic import BaseModel

from web.api.outputs import ProblemOut
from web.identity import page
from web.problems import every_code

docs = Blueprint("docs", __name__)
TAG_NAMES = ("Requests", "Facts", "Reports", "Log", "Re-checks", "Jobs", "Health")
METHODS = ("get", "post", "put", "patch", "delete")
PROBLEM = {"content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}}
IDEMPOTENCY_HEADER: dict[str, Any] = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "description": "Your own key for this call; the same key and body give the first answer again.",
    "schema": {"type": "string", "minLength": 1, "maxLength": 200, "pattern": "^[!-~]+$"},
}
DESCRIPTION = (
    "Requests that a language model forget or stop telling something: submit, decide, follow, read the "
    "report. Authenticate with an API token. Every POST takes an Idempotency-Key. Errors are RFC 9457 "
    "problems with a stable code and never repeat what you sent."
)


def configure(app: APIFlask) -> None:
    """Set up the generated document."""
    app.config.update(
        DESCRIPTION=DESCRIPTION,
        AUTO_VALIDATION_ERROR_RESPONSE=False,
        AUTO_AUTH_ERROR_RESPONSE=False,
        AUTO_404_RESPONSE=False,
        AUTO_OPERATION_ID=True,
        AUTO_SERVERS=False,
        TAGS=[{"name": name} for name in TAG_NAMES],
        SECURITY_SCHEMES={
            "token": {"type": "http", "scheme": "bearer", "description": "An API token: unw_…"}
        },
        SPEC_PROCESSOR_PASS_OBJECT=False,
    )

    @app.spec_processor
    def finish(spec: dict[Any, Any] | str) -> dict[Any, Any] | str:
        assert isinstance(spec, dict)
        schemas = spec["components"].setdefault("schemas", {})
        schemas["Problem"] = _schema(ProblemOut, schemas)
        scopes = _scopes(app)
        for path, operations in spec["paths"].items():
            for method in METHODS:
                if method in operations:
                    _finish_operation(path, method, operations[method], scopes.get((path, method)))
        return spec


def _schema(model: type[BaseModel], schemas: dict[str, Any]) -> dict[str, Any]:
    found = model.model_json_schema(ref_template="#/components/schemas/Problem.{model}")
    for name, definition in found.pop("$defs", {}).items():
        schemas[f"Problem.{name}"] = definition
    return found


def _scopes(app: APIFlask) -> dict[tuple[str, str], str]:
    """The scope that each route of the API needs, by path and method."""
    found = {}
    for rule in app.url_map.iter_rules():
        scope = getattr(app.view_functions[rule.endpoint], "required_scope", None)
        path = re.sub(r"<([^<:]+:)?([^>]+)>", r"{\2}", rule.rule)
        for method in rule.methods or ():
            if scope is not None:
                found[path, method.lower()] = scope
    return found


def _finish_operation(path: str, method: str, operation: dict[str, Any], scope: str | None) -> None:
    operation["tags"] = [_tag(path)]
    if operation.get("summary"):
        operation["summary"] = operation["summary"].rstrip(".")
    for status, description in (("4XX", "The call was wrong"), ("5XX", "The service failed")):
        operation["responses"][status] = PROBLEM | {"description": description}
    if scope is not None:
        operation["security"] = [{"token": [scope]}]
    if method == "post":
        operation["parameters"] = [*operation.get("parameters", []), IDEMPOTENCY_HEADER]
    if "requestBody" in operation:
        operation["requestBody"]["required"] = True


def _tag(path: str) -> str:
    if not path.startswith("/api/v1/"):
        return "Health"
    if "rechecks" in path:
        return "Re-checks"
    if "reports" in path:
        return "Reports"
    noun = path.split("/")[3]
    return {"requests": "Requests", "requests.csv": "Requests", "jobs": "Jobs", "log": "Log"}.get(
        noun, "Facts"
    )


@docs.get("/api/docs")
@page()
def reference() -> str:
    """The API reference for people."""
    spec = cast(APIFlask, current_app).spec
    assert isinstance(spec, dict)
    groups: dict[str, list[dict[str, Any]]] = {tag["name"]: [] for tag in spec["tags"]}
    for path, operations in spec["paths"].items():
        for method in METHODS:
            if method in operations:
                groups[operations[method]["tags"][0]].append(_shown(spec, path, method, operations[method]))
    for operations in groups.values():
        operations.sort(key=lambda op: (op["path"], op["method"]))
    shown = [(tag, operations) for tag, operations in groups.items() if operations]
    return render_template("api.html", spec=spec, groups=shown, problems=every_code())


def _shown(spec: dict[str, Any], path: str, method: str, operation: dict[str, Any]) -> dict[str, Any]:
    security = operation.get("security") or [{}]
    return {
        "method": method.upper(),
        "path": path,
        "summary": operation.get("summary", ""),
        "description": operation.get("description", ""),
        "scope": next(iter(security[0].values()), [""])[0] if security[0] else "",
        "inputs": _inputs(spec, operation),
    }


def _inputs(spec: dict[str, Any], operation: dict[str, Any]) -> list[tuple[str, str, bool]]:
    inputs = [
        (item["name"], "query", item["required"])
        for item in operation.get("parameters", [])
        if item["in"] == "query"
    ]
    body = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema", {})
    schema = spec["components"]["schemas"].get(body.get("$ref", "").rsplit("/", 1)[-1], {})
    required = schema.get("required", [])
    return inputs + [
        (name, _type(spec, field), name in required) for name, field in schema.get("properties", {}).items()
    ]


def _type(spec: dict[str, Any], field: dict[str, Any]) -> str:
    if "enum" in field:
        return " | ".join(field["enum"])
    if field.get("type") == "array":
        return f"list of {_type(spec, field['items'])}"
    if "$ref" in field:
        inner = spec["components"]["schemas"].get(field["$ref"].rsplit("/", 1)[-1], {})
        return "{" + ", ".join(inner.get("properties", {})) + "}"
    return str(field.get("type", "text"))
