"""The commands around certificates: `unwrite keys`, `verify`, `certify`, `export` and `log`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from unwrite.installation import open_database
from unwrite.settings import Settings, SettingsError

if TYPE_CHECKING:
    from audit.keys import KeyRing, TrustedKey
    from audit.verification import Verification
    from store.database import Database

FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
DAYS = click.IntRange(1, 3650)
"""How long a key signs or a token is valid: ten years at most."""
MARKS = {True: "ok  ", False: "FAIL", None: "--  "}
ALONE = "verify.py"


def key_ring(settings: Settings) -> KeyRing:
    """The signing keys of this installation."""
    from audit.keys import KeyRing

    return KeyRing(settings.resolved_signing_keys(), settings.resolved_private_keys())


def first_key(settings: Settings, database: Database) -> list[str]:
    """On the first start make a signing key; what to tell about it."""
    ring = key_ring(settings)
    if ring.public():
        return []
    key = _new_key(ring, database, 365, "system")
    where = settings.resolved_private_keys()
    return [f"A signing key was made: {key.short}, in {where}. Keep a copy apart from the database."]


@click.group()
def keys() -> None:
    """The keys that sign certificates."""


@keys.command("new")
@click.option("--days", type=DAYS, default=365, show_default=True, help="How long it may sign.")
def new_key(days: int) -> None:
    """Make a key. It signs from now on; older keys stay trusted for what they signed."""
    settings = Settings()
    database = open_database(settings)
    key = _new_key(key_ring(settings), database, days, "cli")
    database.close()
    click.echo(f"{key.id}   signs until {key.not_after:%Y-%m-%d}")


@keys.command("list")
@click.option("--json", "as_json", is_flag=True, help="The list that verifiers are given (trusted.json).")
def list_keys(as_json: bool) -> None:
    """Show all keys, without anything secret."""
    from audit.keys import public_list

    found = key_ring(Settings()).public()
    if as_json:
        click.echo(public_list(found).decode(), nl=False)
        return
    now = datetime.now(UTC)
    for key in found:
        click.echo(
            f"{key.id}  {key.not_before:%Y-%m-%d} to {key.not_after:%Y-%m-%d}  {key.refuses(now) or 'signs'}"
        )
    if not found:
        click.echo("There are no keys. Make one with: unwrite keys new")


@keys.command("retire")
@click.argument("key_id")
@click.option("--stolen", is_flag=True, help="Nothing that it ever signed counts any more.")
def retire_key(key_id: str, stolen: bool) -> None:
    """Let a key sign no more. KEY_ID may be the beginning of its id."""
    from store import events

    settings = Settings()
    database = open_database(settings)
    key = key_ring(settings).retire(key_id, datetime.now(UTC), stolen=stolen)
    with database.session() as session:
        body: dict[str, str | int | bool] = {"key": key.id, "stolen": key.stolen}
        events.append(session, "signing_key.retired", actor="cli", body=body)
    database.close()
    click.echo(f"{key.id}   retired. Hand out the list anew: unwrite keys list --json")


def _new_key(ring: KeyRing, database: Database, days: int, actor: str) -> TrustedKey:
    from store import events

    key = ring.new(datetime.now(UTC), days)
    with database.session() as session:
        events.append(session, "signing_key.created", actor=actor, body={"key": key.id, "days": days})
    return key


@click.command()
@click.argument("certificate", type=FILE)
@click.option("--report", "reports", type=FILE, multiple=True, help="report.html or report.json; repeatable.")
@click.option("--transcripts", type=FILE, multiple=True, help="A transcript file; repeatable.")
@click.option("--keys", "trusted", type=FILE, help="Whom you trust (default: this installation's own keys).")
def verify(
    certificate: Path, reports: tuple[Path, ...], transcripts: tuple[Path, ...], trusted: Path | None
) -> None:
    """Check a certificate, and say what it shows and what it does not.

    Exit status: 0 it holds, 1 it does not, 2 something is missing.
    """
    from audit.errors import KeyProblem
    from audit.keys import read_public_list
    from audit.verification import verify as verified

    try:
        known = read_public_list(trusted.read_bytes()) if trusted else key_ring(Settings()).public()
        files = {str(path): path.read_bytes() for path in (*reports, *transcripts)}
        data = certificate.read_bytes()
    except (KeyProblem, OSError) as error:
        raise click.UsageError(str(error)) from None
    if not known:
        raise click.UsageError(
            "Say whose signature you trust: --keys trusted.json (unwrite keys list --json)"
        )
    found = verified(data, known, files)
    _tell(certificate.name, found)
    raise SystemExit(0 if found.holds else 1)


def _tell(name: str, found: Verification) -> None:
    click.echo(f"{name} {'holds' if found.holds else 'DOES NOT HOLD'}.")
    for check in found.checks:
        click.echo(f"  {MARKS[check.ok]}  {check.name}: {check.said}")
    if not found.holds:
        click.echo(
            "Do not rely on it: somebody changed something, or you trust other keys than its signer's."
        )
        return
    click.echo(f"It says: {found.headline}")
    for title, lines in (("Shown:", found.shown), ("Not shown:", found.not_shown)):
        click.echo("\n".join([title, *(f"  - {line}" for line in lines)]))


@click.command()
def certify() -> None:
    """Sign the reports that have no certificate yet (made before there was a key, or while none could sign)."""
    from audit.errors import AuditError
    from store import certificates
    from store.vault import Vault
    from workers.certificate import sign_report

    settings = Settings()
    ring, vault, done = key_ring(settings), Vault(settings.master_key()), 0
    with _database(settings) as database:
        with database.session(read_only=True) as session:
            waiting = certificates.unsigned_reports(session)
        for row in waiting:
            try:
                with database.session() as session:
                    done += sign_report(session, vault, ring, row, actor="cli")
            except AuditError as error:
                click.echo(f"{row.id}: {error}")
    click.echo(f"{done} of {len(waiting)} reports signed.")
    raise SystemExit(0 if done == len(waiting) else 1)


@click.command()
@click.argument("report_id")
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), default=Path(), show_default="here")
def export(report_id: str, out: Path) -> None:
    """Write a report with its certificate, transcripts, trusted keys and verifier into a folder.

    Page and transcripts name the facts: treat the folder like the request itself.
    """
    from store import audits, certificates
    from store.vault import Vault
    from workers.certificate import files_of

    settings = Settings()
    vault = Vault(settings.master_key())
    with _database(settings) as database, database.session(read_only=True) as session:
        files = files_of(session, vault, audits.report(session, report_id))
        certificate = certificates.of_report(session, report_id)
    if certificate is None:
        raise SettingsError("This report is not signed yet. Run: unwrite certify")
    click.echo(write_bundle(settings, out, {**files, "report.dsse": certificate}))


@click.group()
def log() -> None:
    """The event log."""


@log.command("check")
@click.argument("certificates", type=FILE, nargs=-1)
@click.option("--keys", "trusted", type=FILE, help="Whom you trust (default: this installation's own keys).")
def check_log(certificates: tuple[Path, ...], trusted: Path | None) -> None:
    """Walk all events, tree heads, certificates and the files they name; tell what does not fit.

    CERTIFICATES: some that were handed out, to see that the log still holds them. Exit status 0 or 1.
    """
    from audit.keys import read_public_list
    from store.vault import Vault
    from unwrite.log_check import check

    settings = Settings()
    known = read_public_list(trusted.read_bytes()) if trusted else key_ring(settings).public()
    outside = {str(path): path.read_bytes() for path in certificates}
    with _database(settings) as database, database.session(read_only=True) as session:
        done = check(session, Vault(settings.master_key()), known, outside)
    for problem in done.found:
        click.echo(f"FAIL  {problem}")
    signed = f"{done.certificates} certificates" + (
        f", {done.unsigned} reports unsigned" if done.unsigned else ""
    )
    click.echo(
        f"{done.events} events, {signed}: " + (f"{len(done.found)} problems" if done.found else "all fits")
    )
    raise SystemExit(1 if done.found else 0)


def write_bundle(settings: Settings, out: Path, files: Mapping[str, bytes]) -> str:
    """Write the files with the trusted keys and the lonely verifier beside them; how to check them."""
    from audit import verify_alone
    from audit.files import write_atomically
    from audit.keys import public_list

    bundle = {
        **files,
        "trusted.json": public_list(key_ring(settings).public()),
        ALONE: Path(verify_alone.__file__).read_bytes(),
    }
    try:
        out.mkdir(parents=True, exist_ok=True)
        for name, data in bundle.items():
            write_atomically(out / name, data)
    except OSError as error:
        raise SettingsError(f"{out} cannot be written: {error.strerror}.") from None
    given = " ".join(f"--report {out / name}" for name in ("report.html", "report.json") if name in files)
    return f"unwrite verify {out / 'report.dsse'} {given} --keys {out / 'trusted.json'}"


@contextmanager
def _database(settings: Settings) -> Iterator[Database]:
    database = open_database(settings)
    try:
        yield database
    finally:
        database.close()


COMMANDS = (keys, verify, certify, export, log)
