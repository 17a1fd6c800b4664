"""Says a prompt in other words by rule, keeping its meaning: question, statement, other order of its parts.

A prompt is a **question** («What is the mother tongue of X?»), an **order** («Name the author born in …»), or
a **statement** to be completed («The mother tongue of X is»; also «What is the twin city of X? It is»). Every
rule returns None when it does not apply: a phrasing that is wrong is worse than one that is missing.
"""

import re
import tomllib
from functools import cache
from importlib.resources import files
from typing import Literal

from audit.facts import AuditFact
from audit.words import LOWERABLE, ORDER_WORDS, QUESTION_WORDS, same_text

Form = Literal["question", "order", "statement"]

_TAIL = re.compile(r"(?:\s|_|\.{2,}|…|\[(?:MASK|BLANK)\]|<mask>)+$", re.IGNORECASE)
_WH_CLAUSE = re.compile(
    r"^(?:and\s+)?(?:in|at|on|from|to|of|for|by|with|under|during)\s+(?:what|which|whom|whose)\b",
    re.IGNORECASE,
)


def tidy(prompt: str) -> str:
    """The prompt without blanks, dots and masks where the answer goes, and with single spaces."""
    return _TAIL.sub("", " ".join(prompt.split()))


def form_of(prompt: str) -> Form:
    """What kind of prompt this is."""
    text = tidy(prompt)
    first = re.split(r"[\s'’,]", text, maxsplit=1)[0].casefold()
    if text.endswith(("?", "？", "؟")):
        return "question"
    if "?" in text:
        return "statement"
    if first in ORDER_WORDS or text.casefold().startswith(("please ", "let me know", "i want to know")):
        return "order"
    asks = (first in QUESTION_WORDS and first not in ("may", "will")) or _WH_CLAUSE.match(text)
    return "question" if asks else "statement"


def lowered(text: str) -> str | None:
    """The text as it stands inside a sentence, or None when its first word may be a name."""
    first = re.split(r"[\s'’,]", text, maxsplit=1)[0]
    if not first or first.casefold() not in LOWERABLE or "? " in text:
        return None
    return text[0].lower() + text[1:]


def capital(text: str) -> str:
    """The text with a capital first letter."""
    return text[:1].upper() + text[1:]


def _possessive(name: str) -> str:
    return f"{name}'" if name.endswith("s") else f"{name}'s"


@cache
def _rules(name: str) -> tuple[tuple[str, str], ...]:
    data = tomllib.loads((files("audit") / "data" / "rewordings.toml").read_text(encoding="utf-8"))
    return tuple((pattern, wording) for pattern, wording in data[name])


def _rewritten(fact: AuditFact, rules: str) -> str | None:
    text, name = tidy(fact.prompt), fact.subject
    if not name or form_of(text) != "statement":
        return None
    for pattern, wording in _rules(rules):
        match = re.fullmatch(pattern.replace("{x}", re.escape(name)), text)
        if match:
            found = {key: value or "" for key, value in match.groupdict().items()}
            known = {
                "x": name,
                "xs": _possessive(name),
                "n": "",
                "v": "",
                "when": "When" if fact.is_dated else "Where",
                "what": "time when" if fact.is_dated else "place where",
            }
            return capital(wording.format(**(known | found)))
    return None


def as_question(fact: AuditFact) -> str | None:
    """Turn a statement about the subject into a question («Where was X born?»)."""
    return _rewritten(fact, "question")


def reordered(fact: AuditFact) -> str | None:
    """Put a statement's parts in another order («X's mother tongue is», «The place where X was born is»)."""
    return _rewritten(fact, "reordered")


def as_statement(fact: AuditFact) -> str | None:
    """Turn a simple question into the beginning of its answer («The mother tongue of X is»)."""
    text = tidy(fact.prompt)
    if form_of(text) != "question":
        return None
    bare = text.rstrip("?？؟ ")
    match = re.fullmatch(r"What('s| is| was| are| were) (the .+|[A-Z].*['’]s? .+)", bare)
    if match and not re.search(r"\b(like|called|about|for)$", bare):
        verb = "is" if match[1] == "'s" else match[1].strip()
        return f"{capital(match[2])} {verb}"
    x = re.escape(fact.subject) if fact.subject else r"[A-Z][\w'’.-]*(?: [A-Z][\w'’.-]*)*"
    match = re.fullmatch(
        rf"(?:Where|When|In (?:which|what) \w+) (was|were|is) ({x}) "
        r"(born|located|founded|built|based|married|buried|created)",
        bare,
    )
    if match:
        preposition = "on" if fact.is_day else "in"
        return f"{match[2]} {match[1]} {match[3]} {preposition}"
    return None


def indirect(fact: AuditFact) -> str | None:
    """A question as a subordinate clause: «what the mother tongue of X is», «who wrote X»."""
    if form_of(fact.prompt) != "question":
        return None
    bare = tidy(fact.prompt).rstrip("?？؟ ")
    match = re.fullmatch(r"(What|Who|Where) (is|was|are|were) (the .+|[A-Z].*['’]s? .+)", bare)
    if match and len(bare.split()) <= 14 and not re.search(r"\b(like|about|for|who|that|which)\b", match[3]):
        return f"{match[1].lower()} {match[3]} {match[2]}"
    if re.match(r"Who [a-z]+(?:ed|ote|ade|uilt|ang|ew|on|an|und)\b", bare):
        return bare[0].lower() + bare[1:]
    return None


def differs(fact: AuditFact, text: str) -> bool:
    """Whether a text is more than the prompt with other punctuation."""
    return not same_text(tidy(fact.prompt), text)
