"""Keys, certificates and the log from the command line: a request goes all the way, then things are tampered with."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from operator import methodcaller
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
import time_machine
from click.testing import CliRunner, Result

from audit.certificate import Certificate
from audit.envelope import canonical
from audit.keys import KeyRing
from audit.log import LogProof
from audit.merkle import Frontier, leaf_hash
from audit.report import Report
from audit.statement import statement
from store import audits, certificates, events, models, rechecks, retention
from store.database import Database
from store.texts import FactText
from tests.workers.conftest import Shop, shop, written
from tests.workers.test_blind_recheck import blind
from unwrite.cli import main
from unwrite.log_check import check

__all__ = ["shop", "written"]
Written = Callable[[int], list[FactText]]
Run = Callable[..., Result]


@pytest.fixture
def run(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setenv("UNWRITE_HOME", str(shop.settings.home))

    def invoke(*arguments: object) -> Result:
        return CliRunner().invoke(main, [str(argument) for argument in arguments])

    return invoke


def reported(shop: Shop, texts: Sequence[FactText]) -> str:
    """The id of the report of a request that went all the way."""
    request_id = shop.submit("forget", texts)
    assert shop.runner().run(shop.approve(request_id).id)
    with shop.database.session(read_only=True) as session:
        return audits.reports_of(session, request_id)[0].id


def test_a_report_is_signed_exported_and_verified(
    shop: Shop, written: Written, run: Run, tmp_path: Path
) -> None:
    assert run("keys", "new").exit_code == 0
    report_id, out = reported(shop, written(2)[:1]), tmp_path / "out"
    done = run("export", report_id, "--out", out)
    assert done.exit_code == 0, done.output
    assert f"unwrite verify {out / 'report.dsse'}" in done.output
    names = {path.name for path in out.iterdir()}
    assert {"report.dsse", "report.html", "report.json", "trusted.json", "verify.py"} <= names
    lines = sorted(out.glob("transcript-*.jsonl"))
    assert {line.name for line in lines} >= {"transcript-before.jsonl", "transcript-after.jsonl"}
    given = ["--report", out / "report.html", "--report", out / "report.json"]
    given += [word for line in lines for word in ("--transcripts", line)]
    good = run("verify", out / "report.dsse", *given, "--keys", out / "trusted.json")
    assert good.exit_code == 0, good.output
    assert "report.dsse holds." in good.output
    assert "Not shown:" in good.output
    assert "--  " not in good.output  # everything was compared
    assert run("verify", out / "report.dsse", *given).exit_code == 0  # trusting our own keys
    lines[0].write_bytes(lines[0].read_bytes().replace(b"Pat", b"Pit", 1))
    bad = run("verify", out / "report.dsse", *given, "--keys", out / "trusted.json")
    assert bad.exit_code == 1
    assert f"FAIL  {lines[0]}" in bad.output
    assert run("log", "check", out / "report.dsse").exit_code == 0


def test_files_of_the_same_name_in_several_folders_are_all_looked_at(
    shop: Shop, written: Written, run: Run, tmp_path: Path
) -> None:
    run("keys", "new")
    report_id, changed, good = reported(shop, written(2)[:1]), tmp_path / "changed", tmp_path / "good"
    for out in (changed, good):
        run("export", report_id, "--out", out)
    for name in ("report.html", "report.dsse"):
        (changed / name).write_bytes((changed / name).read_bytes() + b" ")
    pages = [word for out in (changed, good) for word in ("--report", out / "report.html")]
    verified = run("verify", good / "report.dsse", *pages)
    assert verified.exit_code == 1
    assert f"FAIL  {changed / 'report.html'}" in verified.output
    assert f"ok    {good / 'report.html'}" in verified.output
    checked = run("log", "check", changed / "report.dsse", good / "report.dsse")
    assert checked.exit_code == 1
    assert f"FAIL  {changed / 'report.dsse'}: it is no certificate" in checked.output
    assert "1 problems" in checked.output


def test_verify_knows_misuse(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "some.dsse"
    file.write_bytes(b"{}")
    assert run("verify", tmp_path / "nowhere.dsse").exit_code == 2
    assert run("verify", file).exit_code == 2  # there are no keys to trust
    assert run("verify", file, "--keys", file).exit_code == 2
    run("keys", "new")
    assert run("verify", file).exit_code == 1


def test_keys_are_made_listed_and_retired_and_the_log_says_so(shop: Shop, run: Run) -> None:
    made = run("keys", "new", "--days", 10).output.split()[0]
    listed = json.loads(run("keys", "list", "--json").output)["keys"]
    assert [key["id"] for key in listed] == [made]
    assert "signs" in run("keys", "list").output
    assert run("keys", "retire", made[:6], "--stolen").exit_code == 0
    assert "stolen" in run("keys", "list").output
    assert run("keys", "retire", "nothing").exit_code == 1
    with shop.database.session(read_only=True) as session:
        logged = [(event.kind, event.body["key"]) for event in events.list_events(session)]
    assert logged == [("signing_key.created", made), ("signing_key.retired", made)]


def test_private_keys_stay_in_their_folder(shop: Shop, written: Written, run: Run, tmp_path: Path) -> None:
    key = run("keys", "new").output.split()[0]
    report_id = reported(shop, written(2)[:1])
    run("export", report_id, "--out", tmp_path / "out")
    folder = shop.settings.resolved_signing_keys()
    secret = (folder / f"{key}.pem").read_bytes().splitlines()[1]
    elsewhere = [path for path in tmp_path.rglob("*") if path.is_file() and path.parent != folder]
    assert len(elsewhere) > 5
    assert not [
        path for path in elsewhere if secret in path.read_bytes() or b"PRIVATE KEY" in path.read_bytes()
    ]


def test_a_worker_signs_with_private_keys_that_lie_apart(
    shop: Shop, written: Written, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UNWRITE_PRIVATE_KEYS", str(tmp_path / "secret"))
    key = run("keys", "new").output.split()[0]
    assert not list(shop.settings.resolved_signing_keys().glob("*.pem"))
    shop.settings = shop.settings.model_copy(update={"private_keys": tmp_path / "secret"})
    report_id = reported(shop, written(2)[:1])
    signed = run("export", report_id, "--out", tmp_path / "out")
    assert signed.exit_code == 0, signed.output
    assert key in next((tmp_path / "out").glob("*.dsse")).read_text()


def test_without_a_key_the_report_is_there_and_is_signed_later(
    shop: Shop, written: Written, run: Run, tmp_path: Path
) -> None:
    report_id = reported(shop, written(2)[:1])
    with shop.database.session(read_only=True) as session:
        assert certificates.of_report(session, report_id) is None
        kinds = [event.kind for event in events.list_events(session, limit=1000)]
    assert "certificate.missing" in kinds
    refused = run("export", report_id, "--out", tmp_path / "out")
    assert (refused.exit_code, "unwrite certify" in refused.output) == (1, True)
    assert run("certify").exit_code == 1
    run("keys", "new")
    assert "1 of 1 reports signed" in run("certify").output
    assert "all fits" in run("log", "check").output


def test_an_expired_key_signs_no_new_report_not_even_with_the_clock_set_back(
    shop: Shop, written: Written, run: Run
) -> None:
    texts = written(3)
    run("keys", "new", "--days", 5)
    first = reported(shop, texts[:1])
    with time_machine.travel(datetime.now(UTC) + timedelta(days=6)):
        second = reported(shop, texts[1:2])
        assert "expired" in run("keys", "list").output
    assert "0 of 1 reports signed" in run("certify").output  # today again: the log knows that time has passed
    with shop.database.session(read_only=True) as session:
        assert certificates.of_report(session, first) is not None
        assert certificates.of_report(session, second) is None
    assert "1 reports unsigned: all fits" in run("log", "check").output


def test_a_recheck_is_signed_too_with_the_transcript_of_the_first_control(
    shop: Shop, written: Written, run: Run, tmp_path: Path
) -> None:
    run("keys", "new")
    report_id = reported(shop, written(2)[:1])
    with shop.database.session() as session:
        request_id = audits.report(session, report_id).request_id
        scheduled = rechecks.schedule(session, request_id, 7, "usr_two")
        job_id = rechecks.run_now(session, scheduled.id, actor="usr_two").id
    assert shop.runner().run(job_id)
    with shop.database.session(read_only=True) as session:
        [again] = [one.id for one in audits.reports_of(session, request_id) if one.id != report_id]
    for number, one in enumerate((report_id, again)):
        assert run("export", one, "--out", tmp_path / str(number)).exit_code == 0
    first, second = (tmp_path / name / "transcript-before.jsonl" for name in "01")
    assert first.read_bytes() == second.read_bytes()
    assert "2 certificates: all fits" in run("log", "check", *tmp_path.glob("[01]/report.dsse")).output


def test_destroyed_texts_leave_a_certificate_that_still_holds(shop: Shop, written: Written, run: Run) -> None:
    run("keys", "new")
    report_id = reported(shop, written(2)[:1])
    with shop.database.session() as session:
        request_id = audits.report(session, report_id).request_id
        retention.destroy_texts(session, shop.vault, request_id, actor="usr")
    assert "all fits" in run("log", "check").output


def test_destroyed_answers_excuse_what_was_signed_before_and_nothing_later(
    shop: Shop, written: Written, run: Run, tmp_path: Path
) -> None:
    run("keys", "new")
    report_id = reported(shop, written(2)[:1])
    with shop.database.session() as session:
        request_id = audits.report(session, report_id).request_id
        retention.destroy_answers(session, shop.vault, request_id, blind, actor="usr")
        scheduled = rechecks.schedule(session, request_id, 7, "usr_two")
        job_id = rechecks.run_now(session, scheduled.id, actor="usr_two").id
    assert shop.runner().run(job_id)
    assert "2 certificates: all fits" in run("log", "check").output
    with shop.database.session(read_only=True) as session:
        [again] = [one.id for one in audits.reports_of(session, request_id) if one.id != report_id]
    assert run("export", again, "--out", tmp_path / "again").exit_code == 0
    kept = b"".join(path.read_bytes() for path in (tmp_path / "again").iterdir())
    assert b"Tongue0" not in kept
    assert b"Pat Sample0" in kept
    with shop.database.session() as session:
        session.execute(sa.update(models.AuditPhase).values(transcript_ciphertext=None))
    assert "is gone, and no event says" in run("log", "check").output


def test_a_statement_that_was_dated_back_is_found_in_the_log(
    shop: Shop, written: Written, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run("keys", "new")
    with monkeypatch.context() as patch:

        def statement_of_before(report: Report, *, issued_at: datetime, **more: Any) -> bytes:
            return statement(report, issued_at=issued_at - timedelta(minutes=30), **more)

        patch.setattr("workers.certificate.statement", statement_of_before)
        with time_machine.travel(datetime.now(UTC) + timedelta(hours=1)):
            report_id = reported(shop, written(2)[:1])
    run("export", report_id, "--out", tmp_path)
    done = run("log", "check", tmp_path / "report.dsse")
    assert done.output.count("was dated back") == 2  # as the database has it, and as it was handed out
    assert done.exit_code == 1


def test_a_log_whose_time_runs_backwards_is_found(
    shop: Shop, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("store.log.time", lambda head: datetime.now(UTC))
    for days in (0, -30, 0):
        with (
            time_machine.travel(datetime.now(UTC) + timedelta(days=days)),
            shop.database.session() as session,
        ):
            events.append(session, "something", actor="cli")
    assert "event 2: it is dated before the event before it" in run("log", "check").output
    assert "1 problems" in run("log", "check").output


FLIPPED = [  # table, column, row
    ("event", "record", 1),
    ("event", "record", 3),
    ("event", "details", 3),
    ("event", "salt", 3),
    ("event", "prev_hash", 3),
    ("event", "hash", 3),
    ("event", "kind", 3),
    ("log_head", "hash", 1),
    ("log_head", "size", 1),
    ("tree_head", "envelope", 1),
    ("tree_head", "frontier", 1),
    ("certificate", "envelope", 1),
    ("certificate", "key_id", 1),
    ("certificate", "seq", 1),
    ("report", "json", 1),
    ("report", "html_ciphertext", 1),
    ("audit_phase", "transcript_ciphertext", 1),
]
CHANGED = [
    ("DELETE FROM event WHERE seq = 4", "place"),
    ("DELETE FROM event WHERE seq = (SELECT max(seq) FROM event)", "head does not fit"),
    ("DELETE FROM certificate", "certificate is gone"),
    ("UPDATE report SET html_ciphertext = NULL", "no event says"),
    ("UPDATE event SET request_id = NULL WHERE request_id IS NOT NULL", "columns"),
]


def flip(connection: sqlite3.Connection, table: str, column: str, number: int) -> None:
    """Flip one bit in the middle of a value of row `number`."""
    query = f"SELECT rowid, {column} FROM {table} WHERE {column} IS NOT NULL ORDER BY rowid"
    row, value = connection.execute(query).fetchall()[number - 1]
    if isinstance(value, int):
        flipped: object = value ^ 1
    else:
        data = bytearray(value.encode() if isinstance(value, str) else value)
        data[len(data) // 2] ^= 1
        flipped = data.decode() if isinstance(value, str) else bytes(data)
    connection.execute(f"UPDATE {table} SET {column} = ? WHERE rowid = ?", (flipped, row))


def found_after(shop: Shop, copy: Path, change: Callable[[sqlite3.Connection], object]) -> Sequence[str]:
    """What the check finds in a copy of the database that an intruder has changed."""
    with sqlite3.connect(shop.settings.home / "unwrite.db") as source, sqlite3.connect(copy) as target:
        source.backup(target)
        target.execute("DROP TRIGGER event_no_update")
        target.execute("DROP TRIGGER event_no_delete")
        change(target)
    source.close()
    target.close()
    database = Database(f"sqlite:///{copy}")
    with database.session(read_only=True) as session:
        done = check(session, shop.vault, KeyRing(shop.settings.resolved_signing_keys()).public())
    database.close()
    return done.found


def test_one_flipped_byte_anywhere_and_whatever_was_taken_out_is_found(
    shop: Shop, written: Written, tmp_path: Path
) -> None:
    KeyRing(shop.settings.resolved_signing_keys()).new(datetime.now(UTC))
    reported(shop, written(2)[:1])
    assert found_after(shop, tmp_path / "untouched.db", lambda connection: None) == []
    for index, place in enumerate(FLIPPED):
        table, column, number = place
        change = partial(flip, table=table, column=column, number=number)
        found = found_after(shop, tmp_path / f"flip{index}.db", change)
        assert found, place
    for index, (query, said) in enumerate(CHANGED):
        intrude = methodcaller("execute", query)
        found = found_after(shop, tmp_path / f"change{index}.db", intrude)
        assert said in " ".join(found), query


def test_a_certificate_with_a_signed_root_of_another_log_is_found(
    shop: Shop, written: Written, tmp_path: Path
) -> None:
    ring = KeyRing(shop.settings.resolved_signing_keys())
    ring.new(datetime.now(UTC))
    reported(shop, written(2)[:1])

    def enter_elsewhere(connection: sqlite3.Connection) -> None:
        [(envelope,)] = connection.execute("SELECT envelope FROM certificate").fetchall()
        made = Certificate.read(envelope)
        others = Frontier()
        for number in range(made.proof.index):
            others = others.append(leaf_hash(b"another event %d" % number))
        _, signer = ring.signer(datetime.now(UTC))
        proof = LogProof.of_last(made.proof.entry, others, datetime.now(UTC), signer)
        moved = canonical(made.document | {"log": proof.to_dict()}) + b"\n"
        connection.execute("UPDATE certificate SET envelope = ?", (moved,))

    [found] = found_after(shop, tmp_path / "moved.db", enter_elsewhere)
    assert "the log is not the one that it was entered into" in found


def test_a_log_that_was_written_anew_does_not_hold_the_certificates_of_old(
    shop: Shop, written: Written, run: Run, tmp_path: Path
) -> None:
    run("keys", "new")
    report_id, out = reported(shop, written(2)[:1]), tmp_path / "out"
    run("export", report_id, "--out", out)
    with sqlite3.connect(shop.settings.home / "unwrite.db") as connection:
        connection.execute("DROP TRIGGER event_no_delete")
        for table in ("certificate", "tree_head", "event"):
            connection.execute(f"DELETE FROM {table}")
        connection.execute("UPDATE log_head SET size = 0, hash = zeroblob(32)")
    connection.close()
    assert run("log", "check").exit_code == 0  # from inside all is well …
    done = run("log", "check", out / "report.dsse")  # … but somebody has kept a certificate
    assert done.exit_code == 1
    assert "another entry at its place" in done.output


def test_a_list_of_other_peoples_keys_makes_every_certificate_foreign(
    shop: Shop, written: Written, run: Run, tmp_path: Path
) -> None:
    run("keys", "new")
    reported(shop, written(2)[:1])
    from audit.keys import public_list

    other = KeyRing(tmp_path / "other")
    other.new(datetime.now(UTC))
    trusted = tmp_path / "others.json"
    trusted.write_bytes(public_list(other.public()))
    done = run("log", "check", "--keys", trusted)
    assert done.exit_code == 1
    assert "not among the trusted" in done.output
