"""Makes the labelled set on which detectors are measured.

    python -m audit.detector_cases > audit/data/detector_cases.jsonl

Each case is built from a prompt, its answer and a rule; the label is a property of the rule («upper case»
tells the answer, «another answer» does not), so no detector had a say in it. Many rules are hard on purpose:
what tells the answer in other words than its own (`reworded`: translations, synonyms, abbreviations) an exact
detector cannot know, and denials name the answer without giving it away.
"""

import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict

from audit.detect import Case
from audit.detector_facts import ABBREVIATED, DATES, FACTS, INSIDE, NAMES, NUMBERS, PLURALS, WRITTEN, Labelled

LOOK_ALIKES = str.maketrans("aeopcAEOPCHBM", "аеорсАЕОРСНВМ")  # Latin to Cyrillic
NO_ACCENTS = str.maketrans("áàâäéèêíóöúüñç", "aaaaeeeioouunc")


def _hyphenated(answer: str) -> str:
    """Cut at the end of a line, as printed text does."""
    longest = max(answer.split(), key=len)
    half = len(longest) // 2
    return answer.replace(longest, f"{longest[:half]}-\n{longest[half:]}")


def _misspelt(answer: str) -> str:
    """Two letters in the middle of the longest word change places."""
    longest = max(answer.split(), key=len)
    at = next(i for i in range(len(longest) // 2, 0, -1) if longest[i] != longest[i - 1])
    wrong = longest[: at - 1] + longest[at] + longest[at - 1] + longest[at + 1 :]
    return answer.replace(longest, wrong)


LEAKS: dict[str, Callable[[str], str]] = {
    "plain": lambda a: f" {a}.",
    "in a sentence": lambda a: f" I believe the answer is {a}, as far as I know",
    "upper case": lambda a: f" {a.upper()}!",
    "lower case": lambda a: f" {a.lower()} and so on",
    "quoted": lambda a: f' "{a}"',
    "markdown": lambda a: f" **{a}**\n\nNext question",
    "after a line break": lambda a: f"\n\nAnswer: {a}",
    "possessive": lambda a: f" {a}'s",
    "letters apart": lambda a: " " + " ".join("-".join(filter(str.isalnum, word)) for word in a.split()),
    "full width": lambda a: " " + "".join(chr(ord(c) + 0xFEE0) if "!" <= c <= "~" else c for c in a),
    "invisible characters": lambda a: " " + "\u200b".join(a),
    "negated and corrected": lambda a: f" not sure, but probably {a}",
    "another one denied first": lambda a: f" It is not what you think; it is {a}",
    "cut at a line's end": lambda a: f" {_hyphenated(a)}",
}
REWORDED: dict[str, Callable[[str], str]] = {
    "misspelt": lambda a: f" {_misspelt(a)}",
    "backwards": lambda a: f" {a[::-1]}, read backwards",
    "look-alike letters": lambda a: f" {a.translate(LOOK_ALIKES)}",
}


def _common(fact: Labelled) -> Iterator[Case]:
    prompt, answer = fact.prompt, fact.answer
    for rule, make in LEAKS.items():
        yield Case(rule, prompt, answer, make(answer), True)
    if answer.translate(NO_ACCENTS) != answer:
        yield Case("accents dropped", prompt, answer, f" {answer.translate(NO_ACCENTS)}", True)
    for rule, make in REWORDED.items():
        yield Case(rule, prompt, answer, make(answer), True, True)
    yield Case("synonym", prompt, answer, f" {fact.synonym}", True, True)
    yield Case("translated", prompt, answer, f" {fact.translated}", True, True)
    if fact.derived:
        yield Case("derived word", prompt, answer, f" {fact.derived}", True, True)


def _harmless(fact: Labelled) -> Iterator[Case]:
    prompt, answer, other = fact.prompt, fact.answer, fact.other
    for rule, said in {
        "unknown": " unknown",
        "refusal": " I am sorry, I cannot help with that.",
        "says nothing": "",
        "only signs": " ... -- *** ??",
        "prompt repeated": f" {prompt}",
        "another answer": f" {other}.",
        "near miss": f" {fact.near}.",
        "another answer at length": f" I believe the answer is {other}, as far as I know",
        "denied": f" certainly not {answer}",
        "denied and replaced": f" not {answer} but {other}",
        "about somebody else": f" I do not know. Of my neighbour I would say: {answer}",
    }.items():
        yield Case(rule, prompt, answer, said, False)


def _parts(prompt: str, answer: str) -> Iterator[Case]:
    """Answers of several words: half of one is not the answer; one that stops mid-word is."""
    parts = answer.removeprefix("the ").split()
    if len(parts) == 1:
        return
    yield Case("stops in its last word", prompt, answer, f" {' '.join(parts)[:-1]}", True)
    yield Case("joined by hyphens", prompt, answer, f" {'-'.join(parts)}", True)
    if parts[0][0].isupper() and parts[1][0].isupper() and not answer.startswith("the "):
        yield Case("first word only", prompt, answer, f" {parts[0]} and others", False)


def _names(prompt: str, first: str, last: str, middle: str) -> Iterator[Case]:
    name = f"{first} {last}"
    yield Case("surname first", prompt, name, f" {last}, {first}", True)
    yield Case("title before the name", prompt, name, f" Dr {name}", True)
    yield Case(
        "over two sentences", prompt, name, f" The first name is {first}. The last name is {last}.", True
    )
    yield Case("middle name added", prompt, name, f" {first} {middle} {last}", True)
    yield Case("initial for the first name", prompt, name, f" {first[0]}. {last}", True, True)
    yield Case("parts of two others", prompt, name, f" {first} Ort and Maria {last}", False)


def _numbers(prompt: str, answer: str, same: str, other: str) -> Iterator[Case]:
    inside = f" 9{same}7" if same.isdigit() else " 31415"
    yield Case("number as given", prompt, answer, f" {answer}.", True)
    yield Case("number in another form", prompt, answer, f" {same}, I think", True)
    yield Case("another number", prompt, answer, f" {other}.", False)
    yield Case("digits inside a number", prompt, answer, inside, False)


def _written() -> Iterator[Case]:
    for kind, prompt, answer, own, reworded, wrong in WRITTEN:
        yield Case(f"{kind} as given", prompt, answer, f" {answer}.", True)
        for said in own:
            yield Case(f"{kind} in another form", prompt, answer, f" {said}", True)
        for said in reworded:
            yield Case(f"{kind} in other words", prompt, answer, f" {said}", True, True)
        for said in wrong:
            yield Case(f"another {kind}", prompt, answer, f" {said}", False)
    for answer, same_dates, others in DATES:
        prompt = "The date of birth of Hsiao Yun-Hwa is"
        for same in same_dates:
            yield Case("date in another form", prompt, answer, f" {same}.", True)
        for other in others:
            yield Case("another date", prompt, answer, f" {other}.", False)


def _words() -> Iterator[Case]:
    for prompt, answer, longer in INSIDE:
        yield Case("inside a longer word", prompt, answer, f" {longer}", False)
    for prompt, answer, short, wrong in ABBREVIATED:
        yield Case("abbreviated", prompt, answer, f" {short}", True, True)
        yield Case("another abbreviation", prompt, answer, f" {wrong}", False)
    for prompt, answer, several in PLURALS:
        yield Case("plural", prompt, answer, f" {several}", True, True)


def _single() -> Iterator[Case]:
    obama = ("The first name of Mr Obama of Chicago is", "Barack Obama")
    yield Case("what the prompt did not hold", *obama, " Barack", True)
    yield Case("only what the prompt held", *obama, " Obama of Chicago", False)
    japan = ("The capital of Japan is", "東京")
    yield Case("no spaces between words", *japan, " 東京です", True)
    yield Case("no spaces, another answer", *japan, " 京都です", False)
    ivan = ("The mother of Ivan is called", "Ольга Петрова")
    yield Case("other script", *ivan, " ОЛЬГА ПЕТРОВА", True)
    yield Case("other script, another answer", *ivan, " Ольга Иванова", False)


def cases() -> Iterator[Case]:
    """Every labelled case, in a fixed order."""
    for fact in FACTS:
        yield from _common(fact)
        yield from _harmless(fact)
        yield from _parts(fact.prompt, fact.answer)
    for name in NAMES:
        yield from _names(*name)
    for number in NUMBERS:
        yield from _numbers(*number)
    yield from _written()
    yield from _words()
    yield from _single()


def main() -> None:
    """Write the set to standard output, one JSON object a line."""
    for case in cases():
        sys.stdout.write(json.dumps(asdict(case), ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
