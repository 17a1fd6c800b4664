"""Where rephrasings come from: fixed frames, a model (`model_rephrase`), the user's own list, or several of them.

Whoever made it, a rephrasing is kept only if `acceptable`: it must name the subject when the prompt does, not hold
the answer, and be more than the prompt itself. Everything here gives the same result for the same arguments.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain, islice, zip_longest
from random import Random
from typing import NamedTuple, Protocol, runtime_checkable

from audit.facts import AuditFact
from audit.forms import differs, tidy
from audit.frames import Purpose, phrasings
from audit.words import texts


class Phrasing(NamedTuple):
    """A prompt in other words, and who made it («certify templates», «model»).

    `temperature` None: the audit's own. `given`: the part of the answer that the prompt gives away.
    """

    text: str
    source: str
    temperature: float | None = None
    given: str = ""


class Rephraser(Protocol):
    """A source of rephrasings."""

    @property
    def name(self) -> str:
        """Printed in the report."""
        ...

    def rephrase(self, fact: AuditFact, count: int, seed: int) -> list[Phrasing]:
        """Return at most `count` different phrasings of the fact's prompt."""
        ...


@runtime_checkable
class Batched(Rephraser, Protocol):
    """A source that is cheaper for many facts at once than for one after the other."""

    def prepare(self, facts: Sequence[AuditFact], count: int, seed: int) -> None:
        """Make ready what `rephrase` is going to be asked of each of these facts with the same arguments."""
        ...


def acceptable(fact: AuditFact, text: str) -> bool:
    """Whether a phrasing may be used: without the answer, with the subject if the prompt has it, and new."""
    if not text.strip() or fact.holds_answer(text) or not differs(fact, text):
        return False
    return fact.names_subject(text) or not fact.names_subject(fact.prompt)


def distinct(found: Iterable[Phrasing]) -> Iterator[Phrasing]:
    """Drop phrasings that are the same words as an earlier one."""
    seen: set[tuple[str, ...]] = set()
    for phrasing in found:
        said = texts(phrasing.text)
        if said not in seen:
            seen.add(said)
            yield phrasing


class TemplateRephraser:
    """Fixed frames, drawn in turn from all families so that a few phrasings already differ in kind."""

    def __init__(self, purpose: Purpose = "certify") -> None:
        self.purpose: Purpose = purpose
        self.name = f"{purpose} templates"

    def rephrase(self, fact: AuditFact, count: int, seed: int) -> list[Phrasing]:
        """Return at most `count` phrasings; the order depends on `seed` and the fact's id."""
        fact = fact.with_subject()
        random = Random(f"{self.purpose}/{seed}/{fact.id}")
        families = [list(lines) for lines in phrasings(fact, self.purpose).values() if lines]
        for lines in families:
            random.shuffle(lines)
        random.shuffle(families)
        in_turn = (text for text in chain.from_iterable(zip_longest(*families)) if text)
        made = (Phrasing(text, self.name) for text in in_turn if acceptable(fact, text))
        return list(islice(distinct(made), count))


class ListRephraser:
    """The user's own phrasings, by fact id or by prompt; those that are not acceptable are left out."""

    def __init__(self, phrasings: Mapping[str, Sequence[str]]) -> None:
        """`phrasings`: for a fact's id, or its prompt word for word, what shall be asked."""
        self._by_id = phrasings
        self._by_prompt = {texts(tidy(key)): tuple(lines) for key, lines in phrasings.items()}
        self.name = "the user's list"

    def rephrase(self, fact: AuditFact, count: int, seed: int) -> list[Phrasing]:
        """Return at most `count` phrasings of the list in an order that depends on `seed`; often none."""
        fact = fact.with_subject()
        known = self._by_id.get(fact.id) or self._by_prompt.get(texts(tidy(fact.prompt)), ())
        lines = [line for line in known if acceptable(fact, line)]
        Random(f"list/{seed}/{fact.id}").shuffle(lines)
        return list(islice(distinct(Phrasing(line, "list") for line in lines), count))


class MixedRephraser:
    """A model's phrasings and templates in turn, so that both kinds are asked; every phrasing carries its source."""

    def __init__(self, model: Rephraser, templates: Rephraser) -> None:
        self.model, self.templates = model, templates
        self.name = f"{model.name}, in turn with {templates.name}"

    def prepare(self, facts: Sequence[AuditFact], count: int, seed: int) -> None:
        """Ask the model for all facts at once, where it can be."""
        if isinstance(self.model, Batched):
            self.model.prepare(facts, (count + 1) // 2, seed)

    def rephrase(self, fact: AuditFact, count: int, seed: int) -> list[Phrasing]:
        """Return at most `count` phrasings, the model's at every other place while it has any."""
        made = self.model.rephrase(fact, (count + 1) // 2, seed)
        spare = self.templates.rephrase(fact, count + len(made), seed)
        in_turn = (each for pair in zip_longest(made, spare) for each in pair if each is not None)
        return list(islice(distinct(in_turn), count))


class RememberedRephraser:
    """Asks another rephraser once for the same; it must not outlive the audit whose phrasings it remembers."""

    def __init__(self, inner: Rephraser) -> None:
        self.inner, self.name = inner, inner.name
        self._known: dict[tuple[AuditFact, int, int], list[Phrasing]] = {}

    def prepare(self, facts: Sequence[AuditFact], count: int, seed: int) -> None:
        """Let the inner rephraser prepare the facts it was not yet asked for, where it can."""
        new = [fact for fact in facts if (fact, count, seed) not in self._known]
        if new and isinstance(self.inner, Batched):
            self.inner.prepare(new, count, seed)

    def rephrase(self, fact: AuditFact, count: int, seed: int) -> list[Phrasing]:
        """Return what the inner rephraser returned, or returns now."""
        asked = (fact, count, seed)
        if asked not in self._known:
            self._known[asked] = self.inner.rephrase(fact, count, seed)
        return self._known[asked]
