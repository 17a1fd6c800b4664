"""A question as people put it to a model: as an order, politely, or among other words.

Readers and judges that have only met questions fall silent at «Name the mother tongue of X.»; half of what
people type to a model is of this kind. Texts have «{}» where the subject stands.
"""

from __future__ import annotations

import random
import re

_THING = re.compile(
    r"(?:what|which|who)(?:'s| is| was| are| were) (?:the name of )?(the .+|\{\}'s .+)", re.IGNORECASE
)
_INVERTED = re.compile(r"(.*?\b)(is|was|are|were|has|had|will|can) ((?:the )?\{\}) (.+)", re.IGNORECASE)
_OWN_ORDER = re.compile(
    r"(?:(?:in|on|at|by|from|to|of) )?(?:who|which|what) (?!.*\b(?:do|does|did)\b)", re.IGNORECASE
)
_THINGS = (
    "Name {}.", "Specify {}.", "Identify {}.", "State {}.", "Give {}.", "Give me {}.", "Tell me {}.",
    "I'm looking for {}.", "I need {}.", "I want to know {}.", "Please provide {}.", "Let me know {}.",
    "I would like to learn {}.", "Can you name {}?", "Could you give me {}?", "I'm interested in {}.",
    "Find {}.", "Write down {}.", "Please tell me {}, if you can.",
)  # fmt: skip
_CLAUSES = (
    "Tell me {}.", "Say {}.", "State {}.", "I want to know {}.", "I'd like to know {}.", "I'm curious to know {}.",
    "Let me know {}.", "Please tell me {}.", "Can you tell me {}?", "Do you know {}?", "I wonder {}.",
    "I'm trying to find out {}.", "Could you say {}?", "I was asked {}.", "Specify {}.", "Explain {}.",
)  # fmt: skip
_AROUND = (
    "Please answer: {}", "Question: {} Answer:", "Q: {} A:", "I have a question. {}", "Tell me: {}", "{} Thanks!",
    "Answer in a few words. {}", "{} Please be brief.", "My question is this: {}", "Hello! {}", "Quiz: {}",
)  # fmt: skip


def orders(question: str) -> list[str]:
    """A question with «{}» as orders and polite requests («Tell me where {} was born.»); none if it is no question."""
    words = question.strip()
    if not words.endswith("?") or words.count("{}") != 1:
        return []
    bare = words.rstrip("? ")
    if thing := _THING.fullmatch(bare):
        return [_filled(frame, thing.group(1)) for frame in _THINGS]
    inverted = _INVERTED.fullmatch(bare)
    if inverted and inverted.group(1).strip():
        wh, verb, subject, rest = inverted.groups()
        bare = f"{wh.strip()} {subject} {verb} {rest}"
    elif not _OWN_ORDER.match(bare):
        return []
    return [_filled(frame, bare) for frame in _CLAUSES]


def as_order(question: str, rng: random.Random) -> str | None:
    """One of the question's `orders`, or None."""
    found = orders(question)
    return rng.choice(found) if found else None


def put(question: str, rng: random.Random) -> str:
    """The question as an order where it can be made one, else among polite words, with «{}» still open."""
    return as_order(question, rng) or _filled(rng.choice(_AROUND), question)


def _filled(frame: str, text: str) -> str:
    """`text` in a frame; its first letter is small inside of a sentence."""
    inside = not frame.startswith("{}") and frame.partition("{}")[0].rstrip()[-1:] not in (":", ".", "!")
    return frame.replace("{}", text[:1].lower() + text[1:] if inside else text)
