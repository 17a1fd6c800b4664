"""The OpenAPI document: valid, complete and true. schemathesis throws at the API what it describes, and what
not.
"""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from apiflask import APIFlask
from flask.testing import FlaskClient
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import Case, GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.schemas import APIOperation
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

import web
from store import errors
from store.models import User
from tests.web.scenario import ANA, BEN, Scenario
from web import problems

CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]
BOUNDED = settings(
    max_examples=8,
    deadline=None,
    database=None,
    derandomize=True,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)


@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE], ids=["right", "wrong"])
def test_the_api_does_what_its_document_says(
    app: APIFlask, scenario: Scenario, users: dict[str, User], mode: GenerationMode
) -> None:
    scenario.write(BEN)
    scenario.completed(users["requester"], ANA, kind="censor")
    headers = {"Authorization": f"Bearer {scenario.token(users['admin'])}"}
    document = schemathesis.openapi.from_wsgi("/api/openapi.json", app)
    called = []
    for found in document.get_all_operations():
        operation = found.ok()
        called.append(operation.label)
        _throw_at(operation, mode, headers)
    assert len(called) >= 20


def _throw_at(operation: APIOperation[Any, Any, Any], mode: GenerationMode, headers: dict[str, str]) -> None:
    try:
        cases = operation.as_strategy(generation_mode=mode)

        @given(case=cases)
        @BOUNDED
        def throw(case: Case) -> None:
            case.call_and_validate(headers=headers, checks=CHECKS)

        throw()
    except Unsatisfiable:  # an operation without inputs cannot be called wrongly
        assert mode is GenerationMode.NEGATIVE


def test_document_is_openapi_3_1_and_names_every_route(app: APIFlask) -> None:
    document = app.test_client().get("/api/openapi.json").json
    assert document["openapi"].startswith("3.1")
    routes = {
        re.sub(r"<(\w+)>", r"{\1}", rule.rule)
        for rule in app.url_map.iter_rules()
        if rule.rule.startswith("/api/v1/")
    }
    assert routes <= set(document["paths"])
    assert not [
        path for path in document["paths"] if not path.startswith(("/api/v1/", "/healthz", "/readyz"))
    ]


def test_every_operation_names_its_scope_its_errors_and_its_key(app: APIFlask) -> None:
    document = app.test_client().get("/api/openapi.json").json
    ids = []
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            ids.append(operation["operationId"])
            assert "application/problem+json" in operation["responses"]["4XX"]["content"]
            assert operation["summary"]
            assert path.startswith("/api/v1/") == ("security" in operation)
            keys = [item for item in operation["parameters"] if item["name"] == "Idempotency-Key"]
            assert len(keys) == (method == "post")
    assert len(ids) == len(set(ids))


def codes_in_use() -> dict[str, int]:
    """Code and status of every problem that this room names, from the calls that make it."""
    found = {}
    for path in Path(web.__file__).parent.rglob("*.py"):
        for call in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(call, ast.Call) and ast.unparse(call.func) == "Problem" and len(call.args) > 1:
                status, code, *_ = call.args
                if isinstance(code, ast.Constant) and isinstance(status, ast.Constant):
                    found[code.value] = status.value
    return found


def test_every_code_that_an_answer_can_carry_is_listed() -> None:
    listed = {code: status for code, status, _ in problems.every_code()}
    used = codes_in_use()
    assert problems.SPECIFIC.keys() <= used.keys()
    assert used.pop("form_expired") == 400  # of a page's form
    assert used.items() <= listed.items()
    for kind in vars(errors).values():
        if isinstance(kind, type) and issubclass(kind, errors.StoreError) and kind not in problems.INTERNAL:
            assert listed[kind.code] == kind.status
    assert {"database_unusable", "database_busy", "vault_error"} <= listed.keys()


def test_reference_page_needs_no_network(reviewer: FlaskClient) -> None:
    page = reviewer.get("/api/docs").text
    assert "Submit a request" in page
    assert "fact_not_written" in page
    assert not re.findall(r'(?:src|href)="(?:https?:)?//', page)
