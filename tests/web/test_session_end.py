"""A session lasts while somebody uses it; when it has ended, nothing that was typed is lost and no page breaks."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from flask.testing import FlaskClient

from tests.web.conftest import SignIn

START = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
HTMX = {"HX-Request": "true"}


@pytest.fixture(autouse=True)
def clock() -> Iterator[time_machine.Traveller]:
    with time_machine.travel(START, tick=False) as traveller:
        yield traveller


def test_session_in_use_goes_on(reviewer: FlaskClient, clock: time_machine.Traveller) -> None:
    for _ in range(3):
        clock.shift(timedelta(hours=11))
        assert reviewer.get("/requests").status_code == 200


def test_page_that_asks_by_itself_keeps_no_session_open(
    sign_in: SignIn, clock: time_machine.Traveller
) -> None:
    left_alone = sign_in("reviewer")
    clock.shift(timedelta(hours=11))
    assert left_alone.get("/requests", headers=HTMX).status_code == 200
    clock.shift(timedelta(hours=2))
    assert left_alone.get("/requests").status_code == 302
