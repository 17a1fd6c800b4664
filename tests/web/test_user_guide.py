"""The user guide says what is: its calls exist in the API, its states and roles are the ones on the pages."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from apiflask import APIFlask

from store import people
from web.api.inputs import FactsIn, ReasonIn, RecheckIn, RequestIn
from web.security import MAX_BODY_BYTES, POST_LIMIT
from web.wording import STATES

GUIDE = (Path(__file__).parents[2] / "docs" / "user-guide.md").read_text(encoding="utf-8")
BODIES = {"facts": FactsIn, "requests": RequestIn, "deny": ReasonIn, "rechecks": RecheckIn}


def calls() -> list[tuple[str, str, str]]:
    """Method, path and the name of the token of each call."""
    found = re.findall(r'curl -sS (-X POST )?"\$UNWRITE/([^"?]+)[^"]*"([^\n]*Bearer \$(\w+)[^\n]*)', GUIDE)
    return [
        ("POST" if post or "--json" in rest else "GET", "/api/v1/" + path.replace("…", "x"), token)
        for post, path, rest, token in found
    ]


def test_every_call_of_the_guide_exists(app: APIFlask) -> None:
    rules = app.url_map.bind("localhost")
    assert len(calls()) == GUIDE.count("curl -sS") >= 9
    for method, path, _ in calls():
        rules.match(path, method=method)  # raises when there is no such route


def test_every_call_of_the_guide_may_be_made_by_who_makes_it(
    app: APIFlask, bearer: Callable[[str], dict[str, str]]
) -> None:
    headers = {name: bearer(name.lower()) for name in ("REQUESTER", "REVIEWER")}
    for method, path, name in calls():
        answer = app.test_client().open(path, method=method, headers=headers[name])
        assert answer.status_code not in {401, 403}, path


def test_who_submits_in_the_guide_is_not_who_approves() -> None:
    by = {path.rsplit("/", 1)[-1]: token for method, path, token in calls() if method == "POST"}
    assert by["requests"] != by["approve"]


def test_every_body_of_the_guide_is_accepted() -> None:
    calls = re.findall(r'"\$UNWRITE/([^"?]+)"[^\n]*--json \'(.+?)\'', GUIDE, flags=re.DOTALL)
    assert len(calls) == 4
    for path, body in calls:
        BODIES[path.rsplit("/", 1)[-1]].model_validate(json.loads(body))


@pytest.mark.parametrize("word", [label.word for label in STATES.values()] + list(people.ROLES))
def test_states_and_roles_are_explained(word: str) -> None:
    assert word in GUIDE


def test_limits_are_the_real_ones() -> None:
    assert f"{POST_LIMIT.split()[0]} POSTs a minute" in GUIDE
    assert f"{MAX_BODY_BYTES // 1024**2} MiB" in GUIDE
