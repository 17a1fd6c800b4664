"""The user guide says what is: its calls exist in the API, its states and roles are the ones on the pages."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from apiflask import APIFlask

from store import people
from web.api.inputs import FactsIn, ReasonIn, RecheckIn, RequestIn
from web.security import MAX_BODY_BYTES, POST_LIMIT
from web.wording import STATES

GUIDE = (Path(__file__).parents[2] / "docs" / "user-guide.md").read_text(encoding="utf-8")
BODIES = {"facts": FactsIn, "requests": RequestIn, "deny": ReasonIn, "rechecks": RecheckIn}


def test_every_call_of_the_guide_exists(app: APIFlask) -> None:
    rules = app.url_map.bind("localhost")
    calls = re.findall(r'curl -sS (-X POST )?"\$UNWRITE/([^"?]+)[^"]*"([^\n]*)', GUIDE)
    assert len(calls) >= 9
    for explicit_post, path, rest in calls:
        method = "POST" if explicit_post or "--json" in rest else "GET"
        rules.match("/api/v1/" + path.replace("…", "x"), method=method)  # raises when there is no such route


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
