"""Open statements made of question templates by rule: «what university was {} educated at?» -> «{} was educated at».

A statement ends where its answer goes, so it never holds one. Templates are in lower case, with «{}» for the
subject. A rule that does not surely apply gives nothing: the rephraser learns from what is written here.
"""

from __future__ import annotations

import re

_BE, _SMALL = "is|was|are|were", "in|at|on|by|to|of|from|for|with|as|under|after|into|through"
_NOUN = r"[a-z][a-z' -]{1,30}?"
_OF = re.compile(
    r"^(?:what|who|which)(?:'s| is| was| are| were)(?: the name of)? the ([a-z' -]{3,40}?) (?:of|for) \{\}\s*\?*$"
)
_BY = re.compile(r"^who ([a-z]+(?:ed|te|lt|nt|ew|unded)) \{\}\s*\?*$")
_WAS = re.compile(r"^(where|when|in which [a-z]+|in what [a-z]+) (was|is) \{\} (?!from)([a-z]+)\s*\?*$")
_DID = re.compile(
    r"^(where|when|in which [a-z]+|in what [a-z]+) did \{\} (die|live|work|study|perform|grow up|happen)\s*\?*$"
)
_WHICH = re.compile(
    r"^(?:what|which) (language|family|genre|position|religion|sport|league|company|instrument|party|"
    r"gender|team|club|continent|award|industry) (?:is|was|does|did|has) \{\} .*\?*$"
)
_OWNED = re.compile(rf"(?:what|who|which|where)(?:'s| is| was) (?:the name of )?\{{\}}(?:'s|') ({_NOUN})\?")
_LAST_NOUN = re.compile(rf"(.*\{{\}}.*?) (?:which|what) ({_NOUN})\?")
_LAST_WORD = re.compile(r"(.*\{\}.*?) (who|whom|what|where)\?")
_WHICH_BE = re.compile(
    rf"(?:what|which|who|whom) ?({_NOUN})? ({_BE}) \{{\}} (.+ (?:{_SMALL})|(?:{_SMALL}))\?"
)
_IN_WHICH_BE = re.compile(rf"({_SMALL}) (?:what|which|whom) ?({_NOUN})? ?({_BE}) \{{\}} (.+)\?")
_WHICH_DO = re.compile(
    rf"(?:what|which|who|whom|where) ?({_NOUN})? ?(does|did) \{{\}} ([a-z]+)(?: ({_SMALL}))?\?"
)
_IN_WHICH_DO = re.compile(rf"({_SMALL}) (?:what|which|whom) ?({_NOUN})? ?(does|did) \{{\}} ([a-z]+)()\?")
_BY_NOUN = re.compile(rf"(?:what|which) ({_NOUN}) ([a-z]+ed|wrote|built|made|drew|sang|won) \{{\}}\?")
_PAST = dict(
    pair.split("/")
    for pair in "write/wrote speak/spoke win/won sing/sang come/came go/went take/took make/made become/became "
    "begin/began hold/held get/got have/had lead/led build/built fight/fought play/played attend/attended "
    "work/worked live/lived die/died study/studied belong/belonged receive/received compete/competed "
    "serve/served join/joined sign/signed create/created release/released perform/performed graduate/graduated "
    "represent/represented inhabit/inhabited produce/produced direct/directed star/starred record/recorded "
    "publish/published found/founded practice/practiced occur/occurred happen/happened originate/originated "
    "air/aired debut/debuted finish/finished end/ended start/started appear/appeared follow/followed "
    "marry/married reside/resided hail/hailed use/used inspire/inspired run/ran teach/taught".split()
) | {"grow up": "grew up"}
_PARTICIPLE = {"wrote": "written", "drew": "drawn", "sang": "sung"}
_EMPTY = {*f"{_BE}|{_SMALL}|has|a|an|the|part".split("|"), "'s"}
_ASKING = re.compile(
    rf"(?:what|which|who|whom|whose|where|when|how|why|do|does|did|{_BE}|can|name|{_SMALL})\b"
)


def label(question: str) -> str:
    """The property's own name in a question («the capital» in «what is the capital of {}?»), without the article."""
    match = _OF.match(question) or _OWNED.fullmatch(question)
    return match[1] if match else ""


def statements(question: str) -> list[str]:
    """Short statements and labels, cut before the answer, that ask what a question asks; often none."""
    if m := _OF.match(question):
        label = m.group(1)
        return [f"the {label} of {{}} is", f"the {label} of {{}}", f"{{}}'s {label} is", f"{{}} {label}",
                f"{{}}, whose {label} is", f"the {label} of {{}} was"]  # fmt: skip
    if m := _BY.match(question):
        verb = {"wrote": "written", "drew": "drawn"}.get(m.group(1), m.group(1))
        return [f"{{}} was {verb} by", f"{{}}, {verb} by"]
    if m := _WAS.match(question):
        small = "on" if m.group(1) == "when" else "in"
        return [f"{{}} {m.group(2)} {m.group(3)} {small}", f"{{}}, {m.group(3)} {small}"]
    if m := _DID.match(question):
        small = "on" if m.group(1) == "when" else "in"
        return [f"{{}} {_PAST[m.group(2)]} {small}"]
    if m := _WHICH.match(question):
        return [f"the {m.group(1)} of {{}} is", f"{{}}'s {m.group(1)}"]
    return []


def open_statements(question: str) -> list[str]:
    """Statements with «{}», cut before the answer, that ask what a question template asks; often none."""
    found = [text for text in statements(question) if re.search(rf" (?:{_BE}|{_SMALL})$", text)]
    for rule in (_owned, _last, _be, _do, _by):
        found += rule(question)
    return [text for text in dict.fromkeys(found) if _asks(text)]


def _asks(text: str) -> bool:
    """Whether a statement still says what is asked: «{} is in» does not."""
    words = set(text.replace("{}", " ").split())
    return text.count("{}") == 1 and "?" not in text and bool(words - _EMPTY)


def _owned(question: str) -> list[str]:
    match = _OWNED.fullmatch(question)
    if match is None or match[1].split()[-1] in _SMALL.split("|"):
        return []
    return [f"{{}}'s {match[1]} is", f"the {match[1]} of {{}} is"]


def _last(question: str) -> list[str]:
    """«{} was alumni of which institution?», «{} was the work of who?»."""
    if _ASKING.match(question):
        return []
    if match := _LAST_NOUN.fullmatch(question):
        plain = re.search(rf" (?:{_BE}|{_SMALL})$", match[1])
        return [f"{match[1]} the {match[2]}", *([match[1]] if plain else [])]
    if match := _LAST_WORD.fullmatch(question):
        closed = re.search(rf" (?:{_SMALL})$", match[1])
        return [f"{match[1]} in"] if match[2] == "where" and not closed else [match[1]]
    return []


def _be(question: str) -> list[str]:
    """«what university was {} educated at?», «in which country is {} located?»."""
    if match := _WHICH_BE.fullmatch(question):
        noun, verb, rest = match[1], match[2], match[3]
    elif match := _IN_WHICH_BE.fullmatch(question):
        noun, verb, rest = match[2], match[3], f"{match[4]} {match[1]}"
    else:
        return []
    return [f"{{}} {verb} {rest}", *([f"{{}} {verb} {rest} the {noun}"] if noun else [])]


def _do(question: str) -> list[str]:
    """«what language did {} speak?», «to which order does {} belong?»."""
    if match := _WHICH_DO.fullmatch(question):
        noun, auxiliary, verb, small = match.groups()
    elif match := _IN_WHICH_DO.fullmatch(question):
        small, noun, auxiliary, verb, _ = match.groups()
    else:
        return []
    if question.startswith("where") and small is None:
        small = "in"
    said = _present(verb) if auxiliary == "does" else _PAST.get(verb)
    if said is None:
        return []
    begun = f"{{}} {said} {small}" if small else f"{{}} {said}"
    return [f"{begun} the {noun}", *([begun] if small else [])] if noun else [begun]


def _by(question: str) -> list[str]:
    """«which company manufactured {}?»."""
    match = _BY_NOUN.fullmatch(question)
    if match is None:
        return []
    done = _PARTICIPLE.get(match[2], match[2])
    return [f"{{}} was {done} by", f"{{}} was {done} by the {match[1]}"]


def _present(verb: str) -> str:
    """Third person: belong -> belongs, study -> studies, teach -> teaches."""
    if verb == "have":
        return "has"
    if re.search(r"[^aeiou]y$", verb):
        return f"{verb[:-1]}ies"
    return f"{verb}es" if re.search(r"(?:s|x|z|ch|sh|o)$", verb) else f"{verb}s"
