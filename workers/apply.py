"""Applying a request to the memory: forget takes facts out, censor puts tombstones in, a repair widens
their scope.

One transaction holds the ledger's change, the bank's new revision, the request's new state and the note of
what was done (phase «apply»), so that a crash leaves either all of it or nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

from sqlalchemy.orm import Session

from store import requests, states
from workers.case import Case
from workers.change import Change, Edit, EditBank, change_bank

if TYPE_CHECKING:
    from larimar import Larimar


def apply(case: Case) -> None:
    """Apply the request, once; `applied` tells what was done, now or in an earlier attempt."""
    case.context.progress("apply", 0, len(case.facts))

    def note(session: Session, change: Change | None) -> None:
        if change is not None:
            case.save_in(session, "apply", asdict(change))
        if requests.get(session, case.request.id).state == "applying":
            states.transition(session, case.request.id, "applied", actor=case.context.lease.worker)

    edit = _forget(case) if case.request.kind == "forget" else _censor(case)
    change_bank(case.context, edit, reason=case.request.kind, also=note)
    case.context.progress("apply", len(case.facts), len(case.facts))


def applied(case: Case) -> Change:
    """What was done when the request was applied."""
    kept = case.saved_ever("apply")
    assert kept is not None, "the change of the bank and its note are one transaction"
    return Change(**kept)


def widen(case: Case, number: int, phrasings: Mapping[str, Sequence[str]]) -> None:
    """Repair: let the phrasings that got through (by fact id) join the scope; noted as phase «repair-…»."""

    def edit(model: Larimar) -> Edit:
        return Edit(add={fact_id: model.widen(fact_id, list(texts)) for fact_id, texts in phrasings.items()})

    def note(session: Session, change: Change | None) -> None:
        added = sum(len(texts) for texts in phrasings.values())
        case.save_in(session, f"repair-{number}", {"facts_leaking": len(phrasings), "phrasings_added": added})

    change_bank(case.context, edit, reason="repair", also=note)


def _forget(case: Case) -> EditBank:
    def edit(model: Larimar) -> Edit:
        present = [fact_id for fact_id in case.fact_ids if fact_id in model.bank.entries]
        if present:
            model.forget(present)
        return Edit(add={}, remove=present)

    return edit


def _censor(case: Case) -> EditBank:
    def edit(model: Larimar) -> Edit:
        fresh = [fact for fact in case.model_facts() if fact.id not in model.bank.entries]
        return Edit(add={entry.fact_id: entry for entry in model.censor(fresh)} if fresh else {})

    return edit
