"""`unwrite demo`: the whole product once, on invented people and on facts that the decoder knows by itself.

A web server and two workers run as processes of their own, on a database and with keys of their own; everything is
asked over HTTP with API tokens, by a submitter and an approver who are two people. At the end: one page, one JSON
file and one table.
"""

from __future__ import annotations

import os
import socket
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from audit.report import Report, pool
from audit.statement import digest, salted_page
from store import people
from store.database import Database
from unwrite.certificates import key_ring, write_bundle
from unwrite.demo_client import Client, DemoError
from unwrite.demo_facts import DemoFacts, load_facts
from unwrite.demo_summary import Recall, print_summary, read_recall
from unwrite.installation import new_password, open_database
from unwrite.processes import Children, cores
from unwrite.setting_names import names_of
from unwrite.settings import Settings
from workers.certificate import issue

ENDED = frozenset({"completed", "residual", "failed"})
START_WITHIN_S = 60.0
SHOW_EVERY_S = 5.0
WORKERS = 2
ATTACKS = "rephrase"
"""The paper's attack alone, so that it takes minutes on two cores. Set UNWRITE_AUDIT_ATTACKS for more."""
FACTS_A_REQUEST = 5
"""In four wordings each they make 20 prompts: enough for a clean request to pass by itself."""

OWN = (
    "database_url",
    "broker_url",
    "master_key_base64",
    "master_key_file",
    "signing_keys",
    "private_keys",
    "host",
    "bank",
)
"""Settings that stay at their defaults, whatever the operator's environment says: the demonstration shares no data
with a real installation, and real keys never sign for invented people."""


@dataclass(frozen=True)
class Installation:
    """A running demonstration: where it lives, how it is reached, who may do what."""

    home: Path
    url: str
    requester: Client
    reviewer: Client
    logins: Mapping[str, str]


def run(home: Path | None, out: Path, *, most: int | None, keep: bool) -> int:
    """Run the demonstration; returns the exit status. Stops all it started, also on Ctrl-C and errors."""
    facts = load_facts(most)
    with ExitStack() as stack:
        folder = home or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="unwrite-demo-")))
        started = time.monotonic()
        here = stack.enter_context(installation(folder.absolute()))
        requests = play(here, facts)
        reports = [report for request in requests if (report := here.reviewer.report(request)) is not None]
        pooled = pool(reports, produced_at=datetime.now(UTC)) if reports else None
        states = here.reviewer.states(requests)
        print_summary(pooled, recall_of(here.home), list(states.values()), time.monotonic() - started)
        if pooled is not None:
            say(f"Report: {(out / 'report.html').absolute()}")
            say(f"Signed; check it with: {write_report(pooled, out, here.home)}")
        if keep:
            wait_with_logins(here)
    return 0 if pooled is not None and pooled.verdict == "pass" and "failed" not in states.values() else 1


def play(here: Installation, facts: DemoFacts) -> list[str]:
    """Write, submit, approve, wait; returns the ids of the requests."""
    say(f"Writing {len(facts.memory)} facts about invented people into the memory …")
    for job_id in here.reviewer.write(facts.memory):
        follow_job(here.reviewer, job_id)
    requests = [
        here.requester.submit(kind, some[start : start + FACTS_A_REQUEST])
        for kind, some in (("forget", facts.forget), ("censor", facts.censor))
        for start in range(0, len(some), FACTS_A_REQUEST)
    ]
    say(
        f"Submitted {len(requests)} requests to forget {len(facts.forget)} and censor {len(facts.censor)} facts; now "
        "approving them."
    )
    for request_id in requests:
        here.reviewer.approve(request_id)
    follow_requests(here.reviewer, requests)
    return requests


@contextmanager
def installation(home: Path) -> Iterator[Installation]:
    """Prepare `home`, start web and worker, and stop them at the end whatever happens."""
    port = free_port()
    database = open_database(own_settings(home, port), migrate=True)
    tokens, logins = make_people(database)
    database.close()
    url = f"http://127.0.0.1:{port}"
    children = Children()
    log = home / "demo.log"
    with (
        log.open("ab") as output,
        Client(url, tokens["requester"]) as one,
        Client(url, tokens["reviewer"]) as two,
    ):
        try:
            workers = str(min(WORKERS, cores()))
            environment = own_environment(home, port)
            children.start("serve", "--workers", workers, environment=environment, log=output)
            say(f"Starting web server and workers in {home}")
            wait_until_ready(two, children, log)
            yield Installation(home, url, one, two, logins)
        finally:
            children.stop()


def own_settings(home: Path, port: int = 0) -> Settings:
    """The settings of a demonstration in `home`."""
    defaults: dict[str, Any] = {name: Settings.model_fields[name].default for name in OWN}
    return Settings(home=home, port=port, **defaults)


def own_environment(home: Path, port: int) -> dict[str, str]:
    """What to lay over this environment so that a child has `own_settings`. An empty variable means the default."""
    own = frozenset().union(*map(names_of, (*OWN, "home", "port")))
    spellings = {name for name in os.environ if name.upper() in own}  # small letters set a setting too
    return {
        **dict.fromkeys(own | spellings, ""),
        "UNWRITE_HOME": str(home),
        "UNWRITE_PORT": str(port),
        "UNWRITE_AUDIT_ATTACKS": os.environ.get("UNWRITE_AUDIT_ATTACKS", ATTACKS),
    }


def make_people(database: Database) -> tuple[dict[str, str], dict[str, str]]:
    """A requester and a reviewer: API tokens by role, passwords by address."""
    tokens, logins = {}, {}
    expires = datetime.now(UTC) + timedelta(days=1)
    with database.session() as session:
        for role in ("requester", "reviewer"):
            email, password = f"{role}-{int(time.time())}@localhost", new_password()
            account = people.create_user(session, email, role.capitalize(), role, password, actor="demo")
            tokens[role] = people.create_token(session, account, "demo", people.ROLES[role], expires)[1]
            logins[email] = password
    return tokens, logins


def wait_until_ready(client: Client, children: Children, log: Path) -> None:
    """Wait for the web server. Raises DemoError with the last lines of its log when it does not come up."""
    deadline = time.monotonic() + START_WITHIN_S
    while not client.ready():
        if children.ended() is not None or time.monotonic() > deadline:
            tail = "\n".join(log.read_text(errors="replace").splitlines()[-10:])
            raise DemoError(f"The web server did not start. Its log ({log}) ends with:\n{tail}")
        time.sleep(0.2)


def follow_job(client: Client, job_id: str) -> None:
    """Show a job's progress until it is done. Raises DemoError when it fails."""
    line = ProgressLine()
    while True:
        job = client.job(job_id)
        line.show(f"  {job['step'] or 'waiting for the worker'}: {_of(job['progress'])}")
        if job["state"] == "done":
            return line.end()
        if job["state"] == "failed":
            raise DemoError(f"The job failed ({job['error_class']}); `unwrite doctor` may say why.")
        time.sleep(0.5)


def follow_requests(client: Client, requests: Sequence[str]) -> None:
    """Show how far all requests are, and what the worker is doing now."""
    line, started = ProgressLine(), time.monotonic()
    while True:
        states = client.states(requests)
        ended = [request_id for request_id in requests if states[request_id] in ENDED]
        passed = time.strftime("%M:%S", time.gmtime(time.monotonic() - started))
        busy = next((i for i in requests if states[i] in {"applying", "auditing"}), None)
        job = client.request(busy)["job"] if busy else None
        doing = f"{job['step']}: {_of(job['progress'])}" if job else "waiting for the worker"
        line.show(f"  {passed}  {len(ended)} of {len(requests)} requests done  ({doing})")
        if len(ended) == len(requests):
            return line.end()
        time.sleep(1.0)


class ProgressLine:
    """One live line on a terminal; elsewhere a new line now and then."""

    def __init__(self) -> None:
        self._tty = sys.stdout.isatty()
        self._shown_at = 0.0
        self._told = ""
        self._last = ""

    def show(self, text: str) -> None:
        """Show the newest state."""
        if self._tty:
            sys.stdout.write(f"\r\x1b[2K{text}")
            sys.stdout.flush()
        elif text != self._told and time.monotonic() - self._shown_at > SHOW_EVERY_S:
            self._shown_at, self._told = time.monotonic(), text
            say(text)
        self._last = text

    def end(self) -> None:
        """Leave the last state standing."""
        if self._tty:
            sys.stdout.write("\n")
        elif self._last != self._told:
            say(self._last)


def write_report(report: Report, out: Path, home: Path) -> str:
    """Write page, JSON, certificate, keys and verifier; returns the command that checks them."""
    settings = own_settings(home)
    files = {"report.json": report.to_json(), "report.html": salted_page(report.to_html())}
    digests = {name: digest(data) for name, data in files.items()}
    database = open_database(settings)
    try:
        with database.session() as session:
            signed = issue(
                session, key_ring(settings), report, report_id="demonstration", files=digests, actor="demo"
            )
    finally:
        database.close()
    return write_bundle(settings, out.absolute(), {**files, "report.dsse": signed.envelope})


def recall_of(home: Path) -> Recall:
    """What the worker noted when it asked for forgotten and for retained facts."""
    database = Database(own_settings(home).resolved_database_url())
    try:
        return read_recall(database)
    finally:
        database.close()


def wait_with_logins(here: Installation) -> None:
    """Leave everything running until Ctrl-C."""
    say(f"Still running: {here.url}   (Ctrl-C stops it)")
    for email, password in here.logins.items():
        say(f"  {email}   {password}")
    try:
        while True:
            time.sleep(1)
    except KeyboardInterrupt:
        say("")


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def say(text: str) -> None:
    """Print at once, also into a pipe."""
    print(text, flush=True)


def _of(progress: Mapping[str, int]) -> str:
    return f"{progress['done']} of {progress['total']}" if progress["total"] else "…"
