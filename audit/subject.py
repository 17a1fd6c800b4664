"""Whom a prompt is about: does a text name the subject, and a careful guess when the subject was not given.

A wrong guess would make the audit drop good probes or call a guess an identification, so in doubt there is
none.
"""

import re
from collections.abc import Sequence

from audit.words import NAMELESS, STOP_WORDS, find, holds, texts

_NAME_WORD = r"[^\W\d_a-z][\w'’.-]*"
_LINK = r"(?: (?:de|da|di|del|der|den|du|la|le|of|the|van|von|bin|al|y|and))*"
_RUN = re.compile(f"{_NAME_WORD}(?:{_LINK} {_NAME_WORD})*")
_QUOTED = re.compile(r"[\"“«‘]([^\"“”«»‘’]{2,80})[\"”»’]")
_PLACE_BEFORE = re.compile(r"\b(?:in|at|from|near|to|on|since|by|for)\s+$", re.IGNORECASE)


def names_subject(text: str, subject: str, aliases: Sequence[str] = ()) -> bool:
    """Whether the text holds the subject's full name or one of its other names."""
    return any(holds(text, name) for name in (subject, *aliases) if name.strip())


def identifies_subject(text: str, subject: str, aliases: Sequence[str] = ()) -> bool:
    """Whether the text holds the full name, another name, or a telling part of the name."""
    if names_subject(text, subject, aliases):
        return True
    said = texts(text)
    parts = [word for word in texts(subject) if len(word) >= 3 and word not in STOP_WORDS]
    return len(parts) > 1 and any(find((part,), said) >= 0 for part in parts)


def _trimmed(run: str) -> str:
    """Drop leading function words («The», «What») and a trailing possessive from a run."""
    parts = run.split()
    while parts and parts[0].casefold().strip(".,'’") in NAMELESS:
        parts.pop(0)
    return re.sub(r"['’]s?$", "", " ".join(parts)).rstrip(".,-")


def _runs(text: str) -> list[str]:
    """Runs of capitalised words that may be a name: no places («in Taipei, Taiwan»), no lone first word."""
    runs: list[str] = []
    place_end = -1
    for match in _RUN.finditer(text):
        before, run = text[: match.start()], _trimmed(match[0])
        goes_on = place_end >= 0 and text[place_end : match.start()] == ", "
        if _PLACE_BEFORE.search(before) or goes_on:
            place_end = match.end()
            continue
        lone_first_word = (
            not before.strip() and run == match[0].rstrip(".,-") and " " not in run and not run.isupper()
        )
        if run and not lone_first_word:
            runs.append(run)
    return runs


def _candidates(prompt: str) -> list[str]:
    quoted = [match[1].strip() for match in _QUOTED.finditer(prompt)]
    return [*quoted, *_runs(_QUOTED.sub(" ", prompt))]


def guess_subject(prompt: str) -> str:
    """The one name in a prompt, or "" when there is none, more than one, or only a place («born in "
    "Taipei»)."""
    distinct = {texts(name): name for name in _candidates(prompt)}
    return next(iter(distinct.values())) if len(distinct) == 1 else ""
