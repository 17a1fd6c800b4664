"""Answers are destroyed and re-checks go on, until the key of the digests is destroyed as well."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
import sqlalchemy as sa

from audit.blind import BlindKey, record_alone
from audit.facts import AuditFact
from store import audits, rechecks, requests, retention, subjects
from store.errors import RecheckCancelled, TextsDestroyed, VaultError
from store.models import AuditBatch, AuditPhase, Base, Fact, LedgerEntry, Report, RequestFact, SubjectKey
from store.texts import FactText
from tests.workers.conftest import Shop

CANARY = "Xylophonish"
FACT = FactText("The mother tongue of Pat Canary is", CANARY, "Pat Canary")


def blind(key: bytes, fact_id: str, text: FactText) -> bytes | None:
    return record_alone(
        BlindKey(key), AuditFact(fact_id, text.prompt, (text.answer,), text.subject, text.aliases)
    )


def completed(shop: Shop, kind: str) -> str:
    """A request about the canary that was applied and audited."""
    if kind == "forget":
        assert shop.runner("writer").run(shop.write([FACT, *shop.texts(3)]).id)
    else:
        shop.larimar.knows = {FACT.subject: FACT.answer}
    request_id = shop.submit(kind, [FACT])
    assert shop.runner().run(shop.approve(request_id).id)
    assert shop.request(request_id).state == "completed"
    return request_id


def destroy_answers(shop: Shop, request_id: str) -> int:
    with shop.database.session() as session:
        return retention.destroy_answers(session, shop.vault, request_id, blind, actor="usr_two")


def rechecked(shop: Shop, request_id: str) -> str:
    """Run a re-check; its verdict."""
    with shop.database.session() as session:
        row = rechecks.active_of(session, request_id) or rechecks.schedule(session, request_id, 7, "usr_two")
        job_id = rechecks.run_now(session, row.id, actor="usr_two").id
    assert shop.runner().run(job_id), shop.job(job_id).error_class
    with shop.database.session(read_only=True) as session:
        return audits.reports_of(session, request_id)[0].verdict


PLACES = (
    (RequestFact, RequestFact.ciphertext, "ciphertext"), (RequestFact, RequestFact.blind_ciphertext, "blind"),
    (Fact, Fact.ciphertext, "ciphertext"), (LedgerEntry, LedgerEntry.ciphertext, "ciphertext"),
    (AuditPhase, AuditPhase.transcript_ciphertext, "transcript_ciphertext"),
    (AuditBatch, AuditBatch.ciphertext, "ciphertext"), (Report, Report.html_ciphertext, "html_ciphertext"),
)  # fmt: skip


def plaintexts(shop: Shop) -> Iterator[bytes]:
    """Everything in the database that the master key opens, whichever row and key it belongs to."""
    with shop.database.session(read_only=True) as session:
        keys = [key.id for key in session.scalars(sa.select(SubjectKey)) if key.wrapped_key is not None]
        plain = list(subjects.open_keys(session, shop.vault, keys).values())
        for model, column, name in PLACES:
            table = model.__tablename__
            ids = [c.name for c in Base.metadata.tables[table].primary_key]
            for row in session.execute(sa.select(column, *(getattr(model, i) for i in ids))).all():
                if row[0] is None:
                    continue
                opened = [
                    shop.vault.decrypt(key, row[0], table=table, column=name, row="/".join(map(str, row[1:])))
                    for key in plain
                    if _opens(shop, key, row[0], table, name, "/".join(map(str, row[1:])))
                ]
                assert opened, f"a value of {table} that no key opens"
                yield from opened


def _opens(shop: Shop, key: bytes, sealed: bytes, table: str, column: str, row: str) -> bool:
    try:
        shop.vault.decrypt(key, sealed, table=table, column=column, row=row)
    except VaultError:
        return False
    return True


def files_holding(shop: Shop, word: bytes) -> list[str]:
    shop.database.scrub()
    return [p.name for p in shop.settings.home.rglob("*") if p.is_file() and word in p.read_bytes()]


@pytest.mark.parametrize("kind", ["forget", "censor"])
def test_the_answer_is_nowhere_any_more_and_rechecks_go_on(
    shop: Shop, kind: str, capsys: pytest.CaptureFixture[str]
) -> None:
    request_id = completed(shop, kind)
    assert any(CANARY.encode() in text for text in plaintexts(shop)), "this search finds it while it is there"
    assert destroy_answers(shop, request_id) >= 1
    assert not any(CANARY.encode() in text for text in plaintexts(shop))
    assert any(b"Pat Canary" in text for text in plaintexts(shop)), "prompts are kept"
    assert rechecked(shop, request_id) == "pass"
    shop.larimar._say = lambda self, prompt: CANARY  # type: ignore[method-assign]
    told = "fail" if kind == "censor" else "pass"  # what the never-written twin says as well is a guess
    assert rechecked(shop, request_id) == told
    assert ("recheck.alert" in shop.events(request_id)) == (told == "fail")
    assert not any(CANARY.encode() in text for text in plaintexts(shop)), "not even by way of the leak"
    assert files_holding(shop, CANARY.encode()) == []
    assert CANARY not in capsys.readouterr().out
    with shop.database.session(read_only=True) as session:
        report = json.loads(audits.reports_of(session, request_id)[0].json)
    after = report["groups"][0]["after"]
    assert after["detector"].startswith("exact words by keyed digests")
    assert sum(probe["leaked"] for probe in after["facts"][0]["probes"]) == 19 * 5
    assert report["detector_quality"]["leaks_found"] > 200


@pytest.mark.parametrize("kind", ["forget", "censor"])
def test_the_old_ciphertexts_cannot_be_opened_from_a_backup(shop: Shop, kind: str) -> None:
    request_id = completed(shop, kind)
    with shop.database.session(read_only=True) as session:
        [row] = session.scalars(sa.select(RequestFact))
        old = (row.id, row.subject_key_id, row.ciphertext)
    destroy_answers(shop, request_id)
    with shop.database.session(read_only=True) as session:
        gone = session.get_one(SubjectKey, old[1])
        assert gone.wrapped_key is None
        assert gone.destroyed_at is not None
        [fact] = requests.facts_of(session, shop.vault, request_id)
    assert (fact.text.answer, fact.is_blind) == ("", True)
    assert len(shop.ledger_ids()) == (3 if kind == "forget" else 1), "the memory still has what it needs"


def test_rechecks_end_with_a_clear_word_when_the_key_of_the_digests_goes_too(shop: Shop) -> None:
    request_id = completed(shop, "censor")
    destroy_answers(shop, request_id)
    assert rechecked(shop, request_id) == "pass"
    with shop.database.session() as session:
        [row] = rechecks.list_rechecks(session).items
        row_id = row.id
        late = rechecks.run_now(session, row_id, actor="usr_two").id
        rechecks.cancel(session, row_id, actor="usr_two")
        retention.destroy_texts(session, shop.vault, request_id, actor="usr_two")
    assert not shop.runner().run(late)
    assert shop.job(late).error_class == "TextsDestroyed"
    assert shop.job(late).state == "failed"
    with shop.database.session() as session:
        [fact] = session.scalars(sa.select(RequestFact))
        assert (fact.ciphertext, fact.blind_ciphertext, fact.blind_salt) == (None, None, None)
        with pytest.raises(RecheckCancelled):
            rechecks.run_now(session, row_id, actor="usr_two")
        with pytest.raises(TextsDestroyed, match="cannot be audited any more"):
            rechecks.schedule(session, request_id, 7, "usr_two")
    assert files_holding(shop, b"Pat Canary") == []


def test_attacks_that_need_the_answer_itself_are_left_out(shop: Shop) -> None:
    shop.settings = shop.settings.model_copy(update={"audit_attacks": "rephrase,frame,prefix"})
    request_id = completed(shop, "censor")
    destroy_answers(shop, request_id)
    assert rechecked(shop, request_id) == "pass"
    with shop.database.session(read_only=True) as session:
        [group] = json.loads(audits.reports_of(session, request_id)[0].json)["groups"]
    assert set(group["figures"]["after"]["by_attack"]) == {"rephrase", "frame"}
    told = [(phase["name"], phase["attack"].split(" ")[0]) for phase in group["others"]]
    assert told == [("before", "prefix")], (
        "what the first audit found afterwards is not told as if it were today's"
    )


def test_destroying_answers_twice_does_nothing_more(shop: Shop) -> None:
    request_id = completed(shop, "forget")
    destroy_answers(shop, request_id)
    happened = shop.events(request_id)
    assert destroy_answers(shop, request_id) == 0
    assert shop.events(request_id) == happened
