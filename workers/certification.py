"""What is sampled after the change of a bank, all of it from one state: read once, kept in hand, noted beside the
samples.

What others commit meanwhile does not touch it. Who takes the job over goes on only while the bank is still in that
state, and else certifies the state of today from the beginning; unless all samples are there already.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING

from sqlalchemy.orm import Session

from audit.facts import AuditFact
from audit.results import PhaseResult
from store import audits, facts
from store.vault import normalise
from workers.apply import applied
from workers.audit import Audit, phase_name
from workers.case import Case
from workers.change import Change
from workers.model import LiveBank
from workers.targets import MemoryTarget

if TYPE_CHECKING:
    from larimar import Larimar

NOTE = audits.STATE
"""the name under which the state is saved that is being certified"""
LAST = "recall"
"""the phase that is sampled last"""


@dataclass(frozen=True)
class State:
    """The bank as it is served, the same without the facts of a forget (under whichever id they stand there), and the
    request's change: the revisions before it was applied and now, repairs and other requests in between.
    """

    live: LiveBank
    without: Larimar
    change: Change


@dataclass(frozen=True)
class Certification:
    """The attacks on the served bank and on its never-written twin; rounds are counted in repairs done before."""

    case: Case
    audit: Audit
    _read: dict[int, State] = field(default_factory=dict, compare=False, repr=False)

    def after(self, number: int) -> PhaseResult:
        """Attack the bank as it is served after `number` repairs."""
        kept = self.audit.saved("after", number)
        if kept is not None and self._stands(number):
            return kept
        return self.audit.attack("after", served(self.case, self.state(number).live), number=number)

    def twin(self, number: int) -> PhaseResult:
        """Attack the bank without the facts, in the state that `after` attacked."""
        kept = self.audit.saved("twin", 0)
        if kept is not None:
            return kept
        return self.audit.attack("twin", never_written(self.case, self.state(number)))

    def control(self) -> PhaseResult:
        """Attack the model without what a censor blocks, as it is attacked today: a control that was kept from another
        attack shows nothing about this one.
        """
        kept = self.case.context.models.ledger(self.case.request.bank_id)
        unblocked = self.case.context.models.build(kept.rows, without=self.case.fact_ids)
        name = f"Larimar without what this request blocks, revision {kept.revision}"
        return self.audit.attack("before", MemoryTarget(name, unblocked, self.case.context.lease.check))

    def state(self, number: int) -> State:
        """The state that is certified after `number` repairs."""
        if number not in self._read:
            now = state_now(self.case)
            self._note(now.change, number)
            self._read.clear()
            self._read[number] = now
        return self._read[number]

    def change(self) -> Change:
        """The change of the request, as it stands in the state that was certified last."""
        kept = self.case.saved(NOTE)
        assert kept is not None, "whatever was sampled has a note of its state"
        return Change(**kept)

    def _stands(self, number: int) -> bool:
        """Whether nothing of this round is missing: it was repaired since, or all was sampled."""
        case = self.case
        repaired = case.saved(f"repair-{number + 1}") is not None
        return repaired or (case.saved(LAST) is not None and case.saved(NOTE) is not None)

    def _note(self, change: Change, number: int) -> None:
        """Note the state; what was sampled from another one goes (of single attacks: see `workers.phase`)."""
        kept = self.case.saved(NOTE)
        if kept is not None and kept["revision_after"] == change.revision_after:
            return
        sampled = [phase_name("after", number), "twin", "neighbours", LAST]

        def drop(session: Session) -> None:
            audits.drop_phases(session, self.case.run_id, sampled)

        self.case.save(NOTE, asdict(change), also=drop)


def served(case: Case, live: LiveBank | None = None) -> MemoryTarget:
    """The model as it is served: the bank in `live`, or at its committed revision."""
    live = live or case.context.models.live(case.request.bank_id)
    return MemoryTarget(
        f"Larimar, revision {live.revision}",
        live.model,
        case.context.lease.check,
        files=case.context.settings.database_files(),
        fact_ids=case.fact_ids,
    )


def never_written(case: Case, state: State) -> MemoryTarget:
    """A model whose bank is built from the ledger without the facts of this request."""
    name = f"Larimar that was never given the facts, revision {state.live.revision}"
    return MemoryTarget(name, state.without, case.context.lease.check)


def state_now(case: Case) -> State:
    """The committed state of the bank, compared with a rebuild from its ledger."""
    models, bank_id = case.context.models, case.request.bank_id
    while True:
        kept, again = models.ledger(bank_id), _restated(case)
        live = models.live(bank_id)
        if live.revision == kept.revision:  # else another worker committed in between
            break
    key = case.context.vault.digest_key()
    removed = {*case.fact_ids, *again} if case.request.kind == "forget" else ()
    without = models.build(kept.rows, without=removed)
    change = replace(
        applied(case),
        revision_after=live.revision,
        digest_after=live.model.digest(key),
        digest_rebuilt=without.digest(key),
        entries_after=len(live.model.bank),
        restated=again,
    )
    return State(live, without, change)


def _restated(case: Case) -> list[str]:
    """Ids of facts in the memory that state what this forget removed, under other ids: the same prompt, and an answer
    that holds the removed one (one that was destroyed is recognised by its digests).
    """
    if case.request.kind != "forget":
        return []
    removed: dict[str, list[AuditFact]] = {}
    for fact in case.audit_facts:
        removed.setdefault(normalise(fact.prompt), []).append(fact)
    with case.context.database.session(read_only=True) as session:
        texts = facts.written(session, case.context.vault, case.request.bank_id)
    return sorted(
        fact_id
        for fact_id, text in texts.items()
        if fact_id not in case.fact_ids
        and any(fact.holds_answer(text.answer) for fact in removed.get(normalise(text.prompt), ()))
    )
