"""Job kind `write`: put pending facts into the memory, some at a time, each portion one revision."""

from __future__ import annotations

from typing import TYPE_CHECKING

from audit.derived import derived
from store import facts
from store.texts import FactText
from workers.change import Edit, change_bank
from workers.context import JobContext

if TYPE_CHECKING:
    import larimar

PORTION = 25


def run(context: JobContext) -> None:
    """Write every fact of the job that is not in the bank yet; safe to repeat at any point."""
    ids = list(context.job.fact_ids)
    with context.database.session(read_only=True) as session:
        texts = facts.texts(session, context.vault, ids)
    context.progress("load", 0, len(ids))
    context.models.live(context.job.bank_id)
    for start in range(0, len(ids), PORTION):
        context.progress("write", start, len(ids))
        _write(context, [model_fact(i, texts[i]) for i in ids[start : start + PORTION] if i in texts])
    context.progress("write", len(ids), len(ids))


def model_fact(fact_id: str, text: FactText) -> larimar.Fact:
    """The store's text as the model takes it."""
    from larimar import Fact

    return Fact(
        id=fact_id,
        prompt=text.prompt,
        answer=text.answer,
        subject=text.subject,
        aliases=text.aliases,
        telling=derived(text.answer),
    )


def _write(context: JobContext, portion: list[larimar.Fact]) -> None:
    def edit(model: larimar.Larimar) -> Edit:
        fresh = [fact for fact in portion if fact.id not in model.bank.entries]
        return Edit(add={entry.fact_id: entry for entry in model.write(fresh)} if fresh else {})

    change_bank(context, edit, reason="write")
