"""The command line. Thin calls into the rooms; heavy imports happen inside the commands.

unwrite serve     web pages, API and (embedded) a model worker, in one command
unwrite work      a model worker;  unwrite beat  the clock;  unwrite migrate  the schema
unwrite demo      a full round on invented people, with a report at the end
unwrite audit     attack any model with the facts of a CSV file; needs no database
unwrite doctor    is everything here and in order?
unwrite user, unwrite token    accounts and API tokens
unwrite keys, verify, certify, export, log    certificates (see unwrite.certificates)
unwrite validate, compare, schema             stored reports (see unwrite.reports)
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from pydantic import ValidationError

from unwrite import certificates, logs, processes, reports
from unwrite.audit import audit
from unwrite.certificates import DAYS
from unwrite.installation import first_accounts, new_password, open_database
from unwrite.settings import Settings

if TYPE_CHECKING:
    from socket import socket

    from sqlalchemy.orm import Session

    from store.models import User

ROLES = ("requester", "reviewer", "auditor", "admin")
FOR_PEOPLE = {"SettingsError", "StoreError", "LarimarError", "AuditError", "DemoError"}
follow_option = click.option("--follow", type=int, hidden=True, help="Stop when this process id is gone.")
ask_password_option = click.option(
    "--ask-password", is_flag=True, help="Type a password instead of getting a random one."
)


class Commands(click.Group):
    """Turns the errors that are meant for people into one line and exit status 1."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command."""
        try:
            return super().invoke(ctx)
        except ValidationError as error:
            found = error.errors(include_input=False)
            problems = [f"UNWRITE_{'_'.join(map(str, one['loc'])).upper()}: {one['msg']}" for one in found]
            raise click.ClickException("settings: " + "; ".join(problems)) from None
        except Exception as error:
            if not _is_for_people(error):
                raise
            raise click.ClickException(str(error)) from None


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="unwrite")
def main() -> None:
    """Make a language model forget, attack it to see whether it still tells, and hand out the report."""
    logs.configure()


main.add_command(audit)


@main.command()
@click.option("--host", help="Address to listen on (default: UNWRITE_HOST or 127.0.0.1).")
@click.option(
    "--port", type=click.IntRange(0, 65535), help="Port to listen on (default: UNWRITE_PORT or 8765)."
)
@click.option(
    "--workers", type=click.IntRange(0), help="Model workers to start too (default: 1 when embedded)."
)
@follow_option
def serve(host: str | None, port: int | None, workers: int | None, follow: int | None) -> None:
    """Serve the web pages and the API; Ctrl-C stops everything that this command started."""
    from unwrite.serving import listening

    processes.exit_on_sigterm()
    _follow(follow)
    settings = Settings()
    host, port = host or settings.host, settings.port if port is None else port
    with listening(host, port) as sockets:
        _serve(settings, host, sockets, workers)


def _serve(settings: Settings, host: str, sockets: Sequence[socket], workers: int | None) -> None:
    """Prepare the database, start workers, serve on these sockets, and stop what was started."""
    from unwrite.serving import serve_web

    database = open_database(settings, migrate=not settings.database_url)
    workers = int(settings.embedded) if workers is None else workers
    told = [*first_accounts(database), *(certificates.first_key(settings, database) if workers else ())]
    for line in told:
        click.echo(line)
    children = processes.Children()
    try:
        children.keep_workers(workers)
        click.echo(f"Unwrite: http://{host}:{sockets[0].getsockname()[1]}   (Ctrl-C stops it)")
        serve_web(settings, database, sockets)
    finally:
        children.stop()
        database.close()


@main.command()
@click.option("--queue", "queues", multiple=True, help="Queue to work on; may be repeated (default: all).")
@click.option("--beat/--no-beat", default=True, help="Run the clock (sweep, re-checks) as a child process.")
@follow_option
def work(queues: tuple[str, ...], beat: bool, follow: int | None) -> None:
    """Run a model worker: one process, one model, one job at a time. SIGTERM hands the job back."""
    from unwrite.broker import QUEUES
    from workers.process import run_worker

    settings = Settings()
    open_database(settings).close()
    _follow(follow)
    children = processes.Children()
    if beat:
        children.keep("beat")
    try:
        status = run_worker(settings, queues or QUEUES)
    finally:
        children.stop()
    raise SystemExit(status)


@main.command()
@follow_option
def beat(follow: int | None) -> None:
    """Run the clock alone: it wakes workers for jobs left behind and for re-checks that are due."""
    from workers.process import run_beat

    _follow(follow)
    run_beat(Settings())


@main.command()
def migrate() -> None:
    """Bring the database to this version's schema."""
    open_database(Settings(), migrate=True).close()
    click.echo("The database is up to date.")


@main.command()
@click.option("--home", type=click.Path(path_type=Path), help="Keep everything here (default: temporary).")
@click.option("--out", type=click.Path(path_type=Path), default=Path("demo-report"), show_default=True)
@click.option("--facts", type=click.IntRange(1), help="At most so many requests of each kind.")
@click.option("--keep", is_flag=True, help="Leave it running at the end and print how to log in.")
def demo(home: Path | None, out: Path, facts: int | None, keep: bool) -> None:
    """Write facts, forget some, censor others, attack the model before and after, and show the report."""
    from unwrite.demo import run

    processes.exit_on_sigterm()
    raise SystemExit(run(home, out, most=facts, keep=keep))


@main.command()
@click.option("--url", help="Only check that this web server answers.")
@click.option("--model/--no-model", default=True, help="Load the model and let it say something.")
def doctor(url: str | None, model: bool) -> None:
    """Check that everything is here and in order, and say what to do where it is not."""
    from unwrite.doctor import examine, examine_url

    findings = examine_url(url) if url else examine(model=model)
    failed = 0
    for finding in findings:
        click.echo(f"{'ok  ' if finding.ok else 'FAIL'}  {finding.what}: {finding.said}")
        failed += not finding.ok
    raise SystemExit(1 if failed else 0)


@main.group()
def user() -> None:
    """Accounts of the people who work with Unwrite."""


@user.command("create")
@click.argument("email")
@click.option("--role", type=click.Choice(ROLES), required=True)
@click.option("--name", help="Shown on the pages (default: the address up to the @).")
@ask_password_option
def create_user(email: str, role: str, name: str | None, ask_password: bool) -> None:
    """Create an account; a random password is printed once."""
    from store import people

    chosen, told = _password(ask_password)
    database = open_database(Settings())
    with database.session() as session:
        people.create_user(session, email, name or email.split("@")[0], role, chosen)
    database.close()
    click.echo(f"{email} ({role}){told}")


@user.command("password")
@click.argument("email")
@ask_password_option
def set_password(email: str, ask_password: bool) -> None:
    """Give an account a new password, printed once; ends its browser sessions and unlocks it."""
    from store import people

    chosen, told = _password(ask_password)
    with _account(email) as (session, account):
        people.set_password(session, account.id, chosen, actor="cli")
    click.echo(f"{email} has a new password{told}")


@user.command("disable")
@click.argument("email")
def disable_user(email: str) -> None:
    """Switch an account off: its browser sessions end and its tokens are revoked, at once."""
    from store import people

    with _account(email) as (session, account):
        people.set_active(session, account.id, False, actor="cli")
    click.echo(f"{email} is switched off; its sessions and tokens have ended")


@user.command("enable")
@click.argument("email")
def enable_user(email: str) -> None:
    """Switch an account on again; revoked tokens stay revoked."""
    from store import people

    with _account(email) as (session, account):
        people.set_active(session, account.id, True, actor="cli")
    click.echo(f"{email} is switched on")


@main.group()
def token() -> None:
    """API tokens."""


@token.command("create")
@click.argument("email")
@click.option("--name", default="cli", show_default=True, help="What the token is for.")
@click.option("--scope", "scopes", multiple=True, help="May be repeated (default: all of the role).")
@click.option("--days", type=DAYS, default=90, show_default=True, help="How long it is valid.")
def create_token(email: str, name: str, scopes: tuple[str, ...], days: int) -> None:
    """Create an API token for an account and print it, once."""
    from store import people

    with _account(email) as (session, account):
        held = sorted(people.ROLES[account.role])
        if not set(scopes) <= set(held):
            raise click.BadParameter(
                f"the role {account.role} has: {', '.join(held)}", param_hint="'--scope'"
            )
        expires = datetime.now(UTC) + timedelta(days=days)
        _, secret = people.create_token(session, account, name, scopes or held, expires)
    click.echo(secret)


@contextmanager
def _account(email: str) -> Iterator[tuple[Session, User]]:
    """The account with this address, in a transaction that commits at the end of the block."""
    from store import people

    database = open_database(Settings())
    try:
        with database.session() as session:
            account = people.user_by_email(session, email)
            if account is None:
                raise click.ClickException(
                    "There is no account with this address: unwrite user create --help"
                )
            yield session, account
    finally:
        database.close()


def _password(ask: bool) -> tuple[str, str]:
    """A password, typed or random, and what is printed of it: a random one, once."""
    if ask:
        return click.prompt("Password", hide_input=True, confirmation_prompt=True), ""
    chosen = new_password()
    return chosen, f"   password: {chosen}   (shown once)"


def _follow(pid: int | None) -> None:
    if pid is not None:
        processes.follow_parent(pid)


def _is_for_people(error: Exception) -> bool:
    """Whether the error was written for people: settings, store, model."""
    return any(kind.__name__ in FOR_PEOPLE for kind in type(error).__mro__)


for command in (*certificates.COMMANDS, *reports.COMMANDS):
    main.add_command(command)
