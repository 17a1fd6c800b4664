"""How `unwrite/data/demo_facts.json` was made: `python -m benchmarks.make_demo_facts TOFU.json COUNTERFACT.json`.

Forget and retained facts are TOFU questions about fictitious authors whose answer holds one short telling
span (a title, a date, a place, a prize): the base decoder cannot know them. Censor facts are CounterFact
prompts whose true answer the base decoder tells in at least a quarter of 20 samples.
"""

from __future__ import annotations

import argparse
import json
import re
from collections import Counter
from pathlib import Path

from larimar import Larimar

_NAME = re.compile(r"\b[A-Z][\w'’-]+(?: (?:[A-Z][\w'’.-]*|al|bin|de|von))* [A-Z][\w'’-]+")
_SPANS = (  # what the question must ask for, and the span that answers it
    (re.compile(r"\b(book|novel|title|work|published|written|wrote)", re.I), re.compile(r'"([^"]+?)[.,]?"')),
    (
        re.compile(r"\b(when|date|birth)", re.I),
        re.compile(
            r"born (?:on|in) (?:the )?(\d[^.,]*\d{4}|[A-Z][a-z]+ \d{1,2}(?:st|nd|rd|th)?, \d{4}|\d\d/\d\d/\d{4})"
        ),
    ),
    (re.compile(r"\b(where|birthplace|place|city)", re.I), re.compile(r"\b([A-Z][\w ]+, [A-Z][\w ]+?)[,.]")),
    (
        re.compile(r"\b(award|prize|honou?r|accolade)", re.I),
        re.compile(r"\b((?:[A-Z][\w']+ )+(?:Award|Prize|Medal)(?: (?:for|of|in) (?:[A-Z][\w']+ ?)+)?)\b"),
    ),
)
_ASKS = ("What", "When", "Where", "Which", "Who", "Can you", "Could you")
_PER_AUTHOR = 2


def tofu_facts(path: Path, wanted: int) -> list[dict[str, object]]:
    """Question facts with a short span as the answer, at most two an author."""
    facts, seen = [], Counter[str]()
    for line in path.read_text(encoding="utf-8").splitlines():
        record = json.loads(line)
        question, answer = record["question"].strip(), record["answer"]
        name = _subject(question, answer)
        spans = [m for asks, pattern in _SPANS if asks.search(question) for m in pattern.findall(answer)]
        if (
            not name
            or len(spans) != 1
            or seen[name] == _PER_AUTHOR
            or len(question.split()) > 18
            or not question.startswith(_ASKS)
        ):
            continue
        span = spans[0].strip()
        if span.lower() in question.lower() or len(span.split()) > 8 or name in span or " on " in span:
            continue
        seen[name] += 1
        facts.append({"prompt": question, "answer": span, "subject": name, "aliases": []})
    return facts[:wanted]


def censor_facts(path: Path, model: Larimar, first: int, wanted: int) -> list[dict[str, object]]:
    """CounterFact prompts whose true answer the base decoder tells in 5 or more of 20 samples."""
    rewrites = [
        r["requested_rewrite"] for r in json.loads(path.read_text(encoding="utf-8"))[first : first + 450]
    ]
    known = [
        {
            "prompt": w["prompt"].format(w["subject"]),
            "answer": w["target_true"]["str"],
            "subject": w["subject"],
        }
        for w in rewrites
    ]
    outputs = model.base.generate([fact["prompt"] for fact in known], samples=20, seed=1)
    facts, relations = [], Counter[str]()
    for fact, rewrite, samples in zip(known, rewrites, outputs, strict=True):
        told = sum(bool(re.search(rf"\b{re.escape(fact['answer'])}\b", s, re.IGNORECASE)) for s in samples)
        holds = fact["answer"].lower() in fact["prompt"].lower()
        if told >= 5 and not holds and relations[rewrite["relation_id"]] < 3:
            relations[rewrite["relation_id"]] += 1
            facts.append({**fact, "aliases": []})
    return facts[:wanted]


def _subject(question: str, answer: str) -> str:
    """The one full name that is in the question and in the answer, or nothing."""
    asked, told = ({re.sub(r"['’]s$", "", n) for n in _NAME.findall(text)} for text in (question, answer))
    names = asked & told
    return names.pop() if len(names) == 1 else ""


def main() -> None:
    """Make both lists and write them."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.make_demo_facts", description=__doc__.split("\n")[0]
    )
    parser.add_argument("tofu", type=Path, help="TOFU, one JSON record a line")
    parser.add_argument("counterfact", type=Path, help="CounterFact full records")
    parser.add_argument(
        "--first", type=int, default=500, help="records before this one are benchmark records"
    )
    parser.add_argument("--checkpoint", type=Path)
    parser.add_argument("--out", type=Path, default=Path("unwrite/data/demo_facts.json"))
    arguments = parser.parse_args()
    written = tofu_facts(arguments.tofu, 200)
    model = Larimar.load(arguments.checkpoint)
    lists = {
        "forget": written[::10], "retained": [f for i, f in enumerate(written) if i % 10],
        "censor": censor_facts(arguments.counterfact, model, arguments.first, 20),
    }  # fmt: skip
    arguments.out.write_text(json.dumps(lists, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    print({name: len(facts) for name, facts in lists.items()})


if __name__ == "__main__":
    main()
