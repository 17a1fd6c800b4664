"""Rephrasings that a model makes: an instruct model shown examples, or the rephraser that was trained for it.

Models change what is asked, answer it, or leave somebody out. So of many lines that are drawn few are kept: those that
pass `acceptable`, a check of their own kind (`faithful`, `asks_the_same`), and that an embedding finds near to
the prompt once the subject's name is hidden in both. (Names count for most of a sentence's embedding: with them,
another question about the same person looks like a rephrasing.)
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from audit.facts import AuditFact
from audit.forms import Form, form_of, tidy
from audit.rephrase import Phrasing, acceptable, distinct
from audit.target import Target
from audit.words import ANSWER_KINDS, NAMELESS, STOP_WORDS, texts

Similarity = Callable[[Sequence[tuple[str, str]]], Sequence[float]]
"""Pairs of texts in, cosine of their embeddings out."""
MOST_DRAWN = 64
"""Lines drawn of a model for one fact, however many phrasings are wanted."""
NEAR = 0.70
"""Similarity, names hidden, from which a line of an instruct model asks the same.

On question templates of other relations than any benchmark's: 84 % of rephrasings and 14 % of the nearest other
questions about the same subject are kept (names shown, at 0.75: 93 % and 49 %).
"""
NEAR_TRAINED = 0.60
"""The same for the trained rephraser, which changes words on purpose and seldom the question: 94 % and 40 %. (At 0.70
«native language» is no «mother tongue».)
"""


EXAMPLES: dict[Form, tuple[tuple[str, str], ...]] = {
    "statement": (
        ("The capital of Peru is", "Peru's capital city is called"),
        ("Maria Jensen was born in", "The place where Maria Jensen was born is"),
        ("The company that made the Austin Seven is", "The Austin Seven was a product of the company"),
        ("Oskar Lindqvist works as a", "The job of Oskar Lindqvist is that of a"),
    ),
    "question": (
        ("What is the capital of Peru?", "Which city is the capital of Peru?"),
        ("Where was Maria Jensen born?", "In which place was Maria Jensen born?"),
        ("Who made the Austin Seven?", "Which company built the Austin Seven?"),
        ("What does Oskar Lindqvist do for a living?", "What is the job of Oskar Lindqvist?"),
    ),
    "order": (
        ("Name the capital of Peru.", "Tell me which city is the capital of Peru."),
        ("State where Maria Jensen was born.", "Give the birthplace of Maria Jensen."),
        ("Name the maker of the Austin Seven.", "Tell me which company built the Austin Seven."),
        ("Say what Oskar Lindqvist does for a living.", "Name the job of Oskar Lindqvist."),
    ),
}
_LABEL = re.compile(
    r"^(?:[-*\d.)\s]*)(?:(?:rewrite|rewritten|sentence|same meaning|answer|output)\s*:\s*)?", re.IGNORECASE
)


def few_shot_prompt(fact: AuditFact) -> str:
    """The text that asks a small model for a paraphrase by example; the model continues after «B:»."""
    shots = "".join(f"A: {first}\nB: {second}\n\n" for first, second in EXAMPLES[form_of(fact.prompt)])
    return f"Each line B says the same as line A in other words.\n\n{shots}A: {tidy(fact.prompt)}\nB:"


def first_line(completion: str) -> str:
    """The first line of a completion, without list marks, labels and quotes."""
    line = next((line for line in completion.splitlines() if line.strip()), "")
    return _LABEL.sub("", line.strip()).strip(' "“”«»*`')


def _names_and_numbers(text: str) -> set[str]:
    """Words that look like names or numbers: capitalised after the first word, or with a digit."""
    found = {word.strip(".,;:!?\"'()") for word in text.split()[1:] if word[:1].isupper()}
    return {said for word in found for said in texts(word)} | {
        word for word in texts(text) if any(map(str.isdigit, word))
    }


def _content(fact: AuditFact, text: str) -> set[str]:
    """The first letters of the words that say what is asked: no names of the subject, no function words."""
    names = set(texts(" ".join((fact.subject, *fact.aliases))))
    return {word[:5] for word in texts(text) if word not in names and word not in NAMELESS and len(word) >= 3}


def _stays_open(fact: AuditFact, text: str) -> bool:
    """Whether a statement ends where an answer would go, not with an answer that the model made up."""
    said, asked = texts(text), texts(tidy(fact.prompt))
    return bool(said) and (said[-1] in STOP_WORDS or said[-1] in ("called", "named") or said[-1] in asked)


def faithful(fact: AuditFact, text: str) -> bool:
    """Whether a model's line may ask the same: same kind, similar length, half of the content, nothing made up.

    Strict on purpose: a small model often changes what is asked or answers it.
    """
    asked, said = tidy(fact.prompt), text.strip()
    statement = form_of(asked) == "statement"
    if statement != (form_of(said) == "statement"):
        return False
    if statement and (said.endswith((".", "!", ",")) or not _stays_open(fact, said)):
        return False
    wanted = _content(fact, asked)
    if 2 * len(wanted & _content(fact, said)) < max(1, len(wanted)):
        return False
    known = set(texts(asked)) | set(texts(" ".join((fact.subject, *fact.aliases))))
    ratio = len(texts(said)) / max(1, len(texts(asked)))
    return 0.5 <= ratio <= 2.0 and _names_and_numbers(said) <= known


def asks_the_same(fact: AuditFact, text: str) -> bool:
    """Whether a line of the trained rephraser may ask the same: a question or an open statement, nothing made up.

    Other words and another form are what it was trained for; the embedding judges the meaning.
    """
    asked, said = tidy(fact.prompt), text.strip()
    if form_of(said) == "statement" and (said.endswith((".", "!", ",", ":")) or not _leads_on(fact, said)):
        return False
    known = set(texts(asked)) | set(texts(" ".join((fact.subject, *fact.aliases))))
    return len(texts(said)) <= 2 * len(texts(asked)) + 6 and _names_and_numbers(said) <= known


def _leads_on(fact: AuditFact, text: str) -> bool:
    """Whether a statement stops where an answer would go, perhaps behind its kind («was born in the city»)."""
    said = texts(text)
    kind = len(said) > 1 and said[-2] == "the" and said[-1] in ANSWER_KINDS
    return kind or _stays_open(fact, text)


def hidden(fact: AuditFact, text: str) -> str:
    """The text with «X» for the subject's names."""
    for name in sorted((fact.subject, *fact.aliases), key=len, reverse=True):
        if name.strip():
            text = re.sub(rf"(?<!\w){re.escape(name)}(?!\w)", "X", text, flags=re.IGNORECASE)
    return text


class ModelRephraser:
    """Draws lines of a model and keeps what passes every filter; an instruct model, asked by example, by default."""

    source = "model"

    def __init__(
        self, target: Target, similarity: Similarity, threshold: float = NEAR, oversample: int = 4
    ) -> None:
        self.target, self.similarity = target, similarity
        self.threshold, self.oversample = threshold, oversample
        self.name = f"model {target.name}"
        self._ready: dict[tuple[AuditFact, int, int], list[str]] = {}

    def prompt(self, fact: AuditFact) -> str:
        """What the model is given."""
        return few_shot_prompt(fact)

    def fits(self, fact: AuditFact, text: str) -> bool:
        """Whether a line that is acceptable may ask the same."""
        return faithful(fact, text)

    def rephrase(self, fact: AuditFact, count: int, seed: int) -> list[Phrasing]:
        """Return at most `count` phrasings that the model made and the filters kept; often fewer."""
        fact = fact.with_subject()
        kept = [line for line in self.drawn(fact, count, seed) if self.passes(fact, line.text)]
        return self.near(fact, kept)[:count]

    def prepare(self, facts: Sequence[AuditFact], count: int, seed: int) -> None:
        """Ask the model for all facts in one call; `rephrase` with the same arguments takes its lines from here."""
        named = list(dict.fromkeys(fact.with_subject() for fact in facts))
        said = self.lines(named, self._lines_for(count), seed)
        self._ready |= {(fact, count, seed): lines for fact, lines in zip(named, said, strict=True)}

    def drawn(self, fact: AuditFact, count: int, seed: int) -> list[Phrasing]:
        """Different lines as the model said them, before any filter."""
        said = self._ready.pop((fact, count, seed), None)
        if said is None:
            [said] = self.lines([fact], self._lines_for(count), seed)
        return list(distinct(Phrasing(text, self.source) for text in said))

    def _lines_for(self, count: int) -> int:
        """How many lines are drawn in the hope of `count` phrasings."""
        return min(MOST_DRAWN, max(8, count * self.oversample))

    def lines(self, facts: Sequence[AuditFact], samples: int, seed: int) -> list[list[str]]:
        """The first lines of `samples` outputs for each fact, as they come."""
        said = self.target.sample(
            [self.prompt(fact) for fact in facts],
            samples=samples,
            max_tokens=32,
            temperature=0.9,
            top_k=50,
            seed=seed,
        )
        return [[first_line(text) for text in row] for row in said]

    def passes(self, fact: AuditFact, text: str) -> bool:
        """Whether a line passes the filters that look at words."""
        return acceptable(fact, text) and self.fits(fact, text)

    def near(self, fact: AuditFact, lines: Sequence[Phrasing]) -> list[Phrasing]:
        """Those lines that mean the same, by the embedding."""
        if not lines:
            return []
        asked = hidden(fact, tidy(fact.prompt))
        scores = self.similarity([(asked, hidden(fact, line.text)) for line in lines])
        return [line for line, score in zip(lines, scores, strict=True) if score >= self.threshold]


class TrainedRephraser(ModelRephraser):
    """Draws lines of a model that was trained to rephrase: it is given the prompt and says it in other words."""

    source = "rephraser"

    def __init__(
        self, target: Target, similarity: Similarity, threshold: float = NEAR_TRAINED, oversample: int = 4
    ) -> None:
        super().__init__(target, similarity, threshold, oversample)
        self.name = target.name

    def prompt(self, fact: AuditFact) -> str:
        """The prompt itself."""
        return tidy(fact.prompt)

    def fits(self, fact: AuditFact, text: str) -> bool:
        """Other words and another form are welcome."""
        return asks_the_same(fact, text)
