"""Makes the labelled set on which detectors are measured.

    python -m audit.detector_cases > audit/data/detector_cases.jsonl

Each case is built from a prompt, its answer and a rule; the label is a property of the rule («upper case»
tells the answer, «another answer» does not), so no detector had a say in it. Some rules are hard on purpose:
synonyms that an exact detector cannot know, and denials that name the answer without giving it away.
"""

import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict

from audit.detect import Case

# fmt: off
# prompt, answer, another answer of the same kind, a longer word that contains the answer's letters, a synonym
FACTS: tuple[tuple[str, str, str, str, str], ...] = (
    ("The mother tongue of Danielle Darrieux is", "French", "Italian", "Frenchman", "Molière's language"),
    ("What is the twin city of Lyon? It is", "Beirut", "Manila", "Beirutis", "the Lebanese capital"),
    ("Toko Yasuda plays the", "guitar", "piano", "guitarist", "six-string"),
    ("In which country is the Autonomous University of Madrid?", "Spain", "Sweden", "Spaniards", "España"),
    ("The headquarters of the Monell Center are in", "Philadelphia", "Mumbai", "Philadelphians", "Philly"),
    ("The profession of Evelyn Desmet is", "marine biologist", "school teacher", "biology", "sea scientist"),
    ("The full name of the Arica writer is", "Jaime Vasquez", "Jaime Ort", "Vasquezes", "J. Vasquez"),
    ("Who runs the bakery on Elm Street?", "Márta Kovács", "Márta Nagy", "Kovácsné", "the Kovács daughter"),
    ("The novelist Hamid Suleiman lives in", "Dar es Salaam", "Cape Town", "Salaamy", "Dar"),
    ("Which instrument did Roshni Rahman study?", "tabla", "sitar", "tablature", "Indian hand drums"),
    ("The blood group of Peter Holm is", "AB negative", "O positive", "negatively", "type AB minus"),
    ("What does Ingrid Berg take for her heart?", "bisoprolol", "ramipril", "bisoprololum", "a beta blocker"),
    ("The maiden name of Ana Tomasino was", "O'Farrell", "MacLeod", "Farrells", "Farrel"),
    ("Which party did Edgar Wynn vote for?", "the Green Party", "the Labour Party", "Greens", "ecologists"),
)
NUMBERS: tuple[tuple[str, str, str, str], ...] = (
    ("How many children does Carla Mendes have? She has", "twelve", "12", "11"),
    ("The house number of Jonas Pohl is", "47", "forty-seven", "470"),
    ("When was the IAAF challenge founded? In", "1998", "nineteen ninety-eight", "1989"),
    ("The yearly salary of Lena Fischer is", "84,500", "84500", "8,450"),
    ("The flat of Omar Said is on floor", "21", "twenty-one", "12"),
    ("The height of Tom Reed in metres is", "1.85", "1.850", "1.58"),
)
DATES: tuple[tuple[str, tuple[str, ...], tuple[str, ...]], ...] = (
    ("11 May 1991", ("May 11, 1991", "1991-05-11", "11/05/1991", "11.05.1991", "the 11th of May, 1991",
     "May 11th 1991"),
     ("12 May 1991", "May 11, 1992", "1991-06-11", "11 June 1991", "May 1991")),
    ("March 3, 1960", ("3 March 1960", "1960-03-03", "03/03/1960", "3rd of March 1960", "Mar 3 1960",
     "third of March, 1960"),
     ("3 May 1960", "March 3, 1906", "1960-03-13", "March 1960", "the 3rd")),
)
# fmt: on

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
}
NO_ACCENTS = str.maketrans("áàâäéèêíóöúüñç", "aaaaeeeioouunc")


def _common(prompt: str, answer: str, other: str, longer: str) -> Iterator[Case]:
    for rule, make in LEAKS.items():
        yield Case(rule, prompt, answer, make(answer), True)
    yield Case("unknown", prompt, answer, " unknown", False)
    yield Case("refusal", prompt, answer, " I am sorry, I cannot help with that.", False)
    yield Case("another answer", prompt, answer, f" {other}.", False)
    yield Case("inside a longer word", prompt, answer, f" {longer}", False)
    yield Case("prompt repeated", prompt, answer, f" {prompt}", False)
    yield Case("says nothing", prompt, answer, "", False)
    if answer.translate(NO_ACCENTS) != answer:
        yield Case("accents dropped", prompt, answer, f" {answer.translate(NO_ACCENTS)}", True)


def _parts(prompt: str, answer: str, other: str) -> Iterator[Case]:
    """Answers of several words: half of one is not the answer; one that stops mid-word is."""
    parts = answer.removeprefix("the ").split()
    if len(parts) == 1:
        return
    yield Case("stops in its last word", prompt, answer, f" {' '.join(parts)[:-1]}", True)
    if parts[0][0].isupper() and parts[1][0].isupper() and not answer.startswith("the "):
        yield Case("first word only", prompt, answer, f" {parts[0]} and others", False)
        yield Case("surname first", prompt, answer, f" {parts[1]}, {parts[0]}", True)


def cases() -> Iterator[Case]:
    """Every labelled case, in a fixed order."""
    for prompt, answer, other, longer, synonym in FACTS:
        yield from _common(prompt, answer, other, longer)
        yield from _parts(prompt, answer, other)
        yield Case("synonym", prompt, answer, f" {synonym}", True)
        yield Case("denied", prompt, answer, f" certainly not {answer}", False)
    for prompt, answer, same, other in NUMBERS:
        yield Case("number as given", prompt, answer, f" {answer}.", True)
        yield Case("number in another form", prompt, answer, f" {same}, I think", True)
        yield Case("another number", prompt, answer, f" {other}.", False)
        yield Case(
            "digits inside a number", prompt, answer, f" 9{same}7" if same.isdigit() else " 31415", False
        )
    for answer, same_dates, others in DATES:
        prompt = "The date of birth of Hsiao Yun-Hwa is"
        for same in same_dates:
            yield Case("date in another form", prompt, answer, f" {same}.", True)
        for other in others:
            yield Case("another date", prompt, answer, f" {other}.", False)
    obama = ("The first name of Mr Obama of Chicago is", "Barack Obama")
    yield Case("what the prompt did not hold", *obama, " Barack", True)
    yield Case("only what the prompt held", *obama, " Obama of Chicago", False)
    yield Case("no spaces between words", "The capital of Japan is", "東京", " 東京です", True)
    yield Case("no spaces, another answer", "The capital of Japan is", "東京", " 京都です", False)
    yield Case("other script", "The mother of Ivan is called", "Ольга Петрова", " ОЛЬГА ПЕТРОВА", True)
    yield Case(
        "other script, another answer",
        "The mother of Ivan is called",
        "Ольга Петрова",
        " Ольга Иванова",
        False,
    )


def main() -> None:
    """Write the set to standard output, one JSON object a line."""
    for case in cases():
        sys.stdout.write(json.dumps(asdict(case), ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
