"""The reviewer's way through the pages in a real browser: sign in, submit, approve, watch the progress, read
the report.

A real web server on a real database; no worker runs: the test itself moves the job on, as a worker would.
"""

from __future__ import annotations

import gc
import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from playwright.sync_api import Browser, BrowserContext, Page, expect
from werkzeug.serving import make_server

from store import jobs, people, requests
from store.database import Database
from store.models import UserSession
from store.vault import Vault
from tests.audit.fakes import NOW, report
from tests.e2e.chromium import browser  # noqa: F401 - a fixture
from tests.web.scenario import ANA, PASSWORD, Scenario
from unwrite.settings import Settings
from web import create_app
from web.security import limiter

pytestmark = pytest.mark.filterwarnings(
    # A browser that hangs up while it is sent a picture: werkzeug's server drops the file without closing it.
    "ignore:Exception ignored in. <_io.FileIO name='.*/web/static/:pytest.PytestUnraisableExceptionWarning"
)

REPORT = b"<!doctype html><title>r</title><h1>Audit report</h1><script>document.title='ran'</script>"
PATHS = (
    "/requests?view=all",
    "/requests/new",
    "/facts",
    "/facts/new",
    "/rechecks",
    "/account",
    "/api/docs",
)
UNNAMED = """() => [...document.querySelectorAll('input:not([type=hidden]), select, textarea, button, a')]
    .filter(e => !(e.labels?.length || e.textContent.trim() || e.ariaLabel)).map(e => e.outerHTML)"""
Visit = Callable[..., Page]


@pytest.fixture
def scenario(tmp_path: Path) -> Iterator[Scenario]:
    settings = Settings(home=tmp_path)
    database = Database(settings.resolved_database_url())
    database.migrate()
    scenario = Scenario(database, Vault(settings.master_key()))
    for role in ("requester", "reviewer"):
        scenario.user(role)
    yield scenario
    database.close()


@pytest.fixture
def address(scenario: Scenario, tmp_path: Path) -> Iterator[str]:
    app = create_app(Settings(home=tmp_path), database=scenario.database, wake=lambda job, queue: None)
    limiter.reset()
    server = make_server("127.0.0.1", 0, app, threaded=True)
    server.daemon_threads = False  # closing waits for those whose browser went on: the database outlives them
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()
    gc.collect()  # files of browsers that hung up are this test's, not the next one's


@pytest.fixture
def visit(browser: Browser, address: str) -> Iterator[Visit]:  # noqa: F811
    """A page in a fresh context, signed in as a role; script errors and refused policies fail the test."""
    contexts: list[BrowserContext] = []
    complaints: list[str] = []

    def visited(role: str, **context: Any) -> Page:
        contexts.append(browser.new_context(base_url=address, **context))
        page = contexts[-1].new_page()
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("console", lambda message: _complain(message.type, message.text, complaints))
        page.goto("/login")
        sign_in(page, role)
        return page

    yield visited
    for context in contexts:
        context.close()
    assert complaints == []


def _complain(kind: str, text: str, complaints: list[str]) -> None:
    # the script in REPORT; a form with mistakes; a session that has ended
    expected = any(known in text for known in ("sandboxed", "status of 422", "status of 401"))
    if kind == "error" and not expected:
        complaints.append(text)


def sign_in(page: Page, role: str) -> None:
    """Fill the form of the sign-in and send it."""
    page.get_by_label("E-mail").fill(f"{role}@example.org")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()


def end_sessions(scenario: Scenario) -> None:
    """As if everybody had been away for a day."""
    with scenario.database.session() as session:
        session.execute(sa.delete(UserSession))


def fill(page: Page, reference: str) -> None:
    """Fill the form for Ana."""
    page.get_by_role("link", name="New request").first.click()
    page.get_by_label("Prompt").fill(ANA.prompt)
    page.get_by_label("Answer").fill(ANA.answer)
    page.get_by_label("Reference").fill(reference)


def submit(page: Page, reference: str) -> str:
    """Fill the form for Ana and send it; the path of the new request."""
    fill(page, reference)
    page.get_by_role("button", name="Submit request").last.click()
    expect(page.get_by_text("The request was received.")).to_be_visible()
    return page.url.split("/", 3)[-1]


def test_a_request_goes_from_form_to_report(visit: Visit, scenario: Scenario) -> None:
    scenario.write(ANA)
    path = submit(visit("requester"), "DSR-7")
    page = visit("reviewer")
    page.get_by_role("link", name="Forget · DSR-7").click()
    expect(page.get_by_text("Basque")).to_be_visible()
    page.get_by_role("button", name="Approve").click()
    expect(page.get_by_role("heading", name="Waiting for a worker")).to_be_visible()

    request_id = path.rsplit("/", 1)[-1]
    with scenario.database.session(read_only=True) as session:
        (job,) = jobs.of_request(session, request_id)
    scenario.start(request_id, job.id, step="before", done=5, total=20)  # the open page must follow by itself
    expect(page.get_by_role("heading", name="Checking that the model tells the facts now")).to_be_visible()
    expect(page.get_by_role("progressbar")).to_have_attribute("value", "5")
    with scenario.database.session() as session:
        jobs.progress(session, job.id, "after", 19, 20)
    expect(page.get_by_role("progressbar")).to_have_attribute("value", "19")

    scenario.finish(request_id, job.id, html=REPORT)
    expect(page.get_by_role("heading", name="Completed")).to_be_visible()
    page.get_by_role("link", name="Read the report").click()
    document = page.frame_locator("iframe")
    expect(document.get_by_role("heading", name="Audit report")).to_be_visible()
    frame = page.query_selector("iframe").content_frame()  # type: ignore[union-attr]
    assert frame is not None
    assert frame.title() == "r", "the script of a stored report must not run"


def test_a_double_click_makes_one_request(visit: Visit, scenario: Scenario) -> None:
    scenario.write(ANA)
    page = visit("requester")
    fill(page, "DSR-2")
    page.get_by_role("button", name="Submit request").last.dblclick()
    expect(page.get_by_text("The request was received.")).to_be_visible()
    with scenario.database.session(read_only=True) as session:
        assert len(requests.list_requests(session).items) == 1


def test_what_was_typed_outlives_the_session(visit: Visit, scenario: Scenario) -> None:
    scenario.write(ANA)
    page = visit("requester", viewport={"width": 360, "height": 780})
    fill(page, "DSR-8")
    end_sessions(scenario)
    page.get_by_role("button", name="Submit request").last.click()
    expect(page.get_by_role("heading", name="Your session has ended")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    with page.context.expect_page() as opened:
        page.get_by_role("link", name="Sign in in another tab").click()
    sign_in(opened.value, "requester")
    opened.value.wait_for_url("**/requests")
    page.get_by_role("button", name="Send again").click()
    expect(page.get_by_text("The request was received.")).to_be_visible()
    expect(page.get_by_text("DSR-8").first).to_be_visible()


def test_a_live_page_comes_back_after_the_sign_in(visit: Visit, scenario: Scenario) -> None:
    with scenario.database.session() as session:
        user = people.user_by_email(session, "requester@example.org")
    assert user is not None
    item = scenario.submit(user, ANA, kind="censor")
    scenario.approve(user, item.id)
    page = visit("reviewer")
    page.goto(f"/requests/{item.id}")
    expect(page.get_by_role("heading", name="Waiting for a worker")).to_be_visible()
    end_sessions(scenario)
    page.wait_for_url(f"**/login?next=/requests/{item.id}")
    sign_in(page, "reviewer")
    page.wait_for_url(f"**/requests/{item.id}")
    expect(page.get_by_role("heading", name="Waiting for a worker")).to_be_visible()


def test_everything_works_without_script(visit: Visit) -> None:
    page = visit("requester", java_script_enabled=False)
    page.get_by_role("link", name="New request").first.click()
    page.get_by_text("Stop the model from telling").click()
    page.get_by_label("Prompt").fill(ANA.prompt)
    page.get_by_role("button", name="Add another fact").click()
    expect(page.get_by_role("group", name="Fact 2")).to_be_visible()
    assert page.get_by_label("Prompt").first.input_value() == ANA.prompt
    page.get_by_role("button", name="Remove fact 2").click()
    page.get_by_role("button", name="Submit request").last.click()
    expect(page.get_by_role("alert")).to_contain_text("Fact 1: Give the answer.")
    page.get_by_label("Answer").fill(ANA.answer)
    page.get_by_role("button", name="Submit request").last.click()
    expect(page.get_by_role("heading", name="Waiting for a decision")).to_be_visible()
    page.get_by_text("Cancel the request…").click()
    page.get_by_role("button", name="Cancel the request").click()
    expect(page.get_by_text("Nothing was changed in the memory.").first).to_be_visible()


def test_pages_fit_a_phone_and_every_control_has_a_name(visit: Visit, scenario: Scenario) -> None:
    with scenario.database.session() as session:
        user = people.user_by_email(session, "reviewer@example.org")
    assert user is not None
    item, report_id = scenario.completed(
        user, ANA, kind="censor", reference="DSR-2026-000000000000000000000000000000"
    )
    page = visit("reviewer", viewport={"width": 360, "height": 780})
    for path in (*PATHS, f"/requests/{item.id}", f"/reports/{report_id}"):
        page.goto(path)
        wider = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert wider <= 0, f"{path} is {wider} px too wide"
        assert page.evaluate(UNNAMED) == [], path
        assert page.locator("h1").count() == 1


def test_two_reports_and_the_trend_are_shown_in_their_frames(visit: Visit, scenario: Scenario) -> None:
    with scenario.database.session() as session:
        user = people.user_by_email(session, "requester@example.org")
    assert user is not None
    told = report("censor", 3, after=0.4, produced_at=NOW - timedelta(days=30))[0].to_json()
    item, first = scenario.completed(user, ANA, kind="censor", data=told)
    second = scenario.reported(item.id, report("censor", 3)[0].to_json())
    page = visit("reviewer", viewport={"width": 390, "height": 844})
    page.goto(f"/reports/{second}")
    page.get_by_role("link", name="compare").click()
    page.wait_for_url(f"**/reports/{first}/compare/{second}")
    framed = page.frame_locator("iframe")
    expect(framed.get_by_text("the rate is lower in B")).to_be_visible()
    expect(framed.locator("figure svg")).to_be_visible()
    page.goto(f"/reports/{second}")
    page.get_by_role("link", name="All audits in a row").click()
    expect(page.frame_locator("iframe").get_by_role("heading", name="Does it come back?")).to_be_visible()
    expect(page.frame_locator("iframe").locator("figure svg")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


def test_keyboard_reaches_the_content_first(visit: Visit) -> None:
    page = visit("reviewer")
    page.wait_for_url("**/requests")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to content"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"
