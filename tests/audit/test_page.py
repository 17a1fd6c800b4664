"""The page is self-contained, well-formed, and never shows an answer."""

import re
from xml.etree import ElementTree

import pytest

from audit.counts import Kind, count
from audit.facts import AuditFact
from audit.page import BAR, fact_rows, redact, strong
from audit.picture import leak_at_k, rows_of
from audit.svg import COLOURS
from tests.audit.fakes import report
from tests.audit.markup import assert_self_contained


@pytest.fixture(scope="module")
def page() -> str:
    made, known = report("forget", 20, after=0.1, twin=0.1)
    return made.to_html({fact.id: fact for fact in known}).decode()


def test_the_page_is_well_formed_and_needs_no_network_and_no_script(page: str) -> None:
    assert_self_contained(page)


def test_the_page_prints_and_follows_dark_mode_and_small_screens(page: str) -> None:
    for rule in ("@media print", "prefers-color-scheme: dark", "max-width: 40rem", 'name="viewport"'):
        assert rule in page


def test_prompts_are_shown_and_answers_never() -> None:
    made, known = report("censor", 10, after=1.0)
    shown = made.to_html({fact.id: fact for fact in known}).decode()
    body = shown[shown.index("<body>") :]
    for fact in known:
        assert fact.subject in body
        assert not any(answer in body for answer in fact.answers)
    assert BAR in body
    assert not any(fact.subject in made.to_html().decode() for fact in known)


@pytest.mark.parametrize(("kind", "said"), [("forget", "Guessed, like the twin"), ("check", "Still told"),
                                           ("censor", "Still told")])  # fmt: skip
def test_the_table_takes_guesses_off_where_the_verdict_does(kind: Kind, said: str) -> None:
    group = report("forget", 3, after=0.5, twin=0.5)[0].groups[0]
    counted = count(kind, group.after, group.twin).facts
    rows = list(fact_rows(group.model_copy(update={"kind": kind}), {}, 0.95))
    assert {row.result for row in rows} == {said}
    assert counted.leaked == (3 if said == "Still told" else 0)


def test_names_are_escaped() -> None:
    made, known = report("censor", 1)
    evil = AuditFact(known[0].id, "<script>alert(1)</script> & is", ("Lisbon",))
    assert b"<script" not in made.to_html({evil.id: evil})


def test_pictures_are_xml_with_a_title_and_a_description(page: str) -> None:
    pictures = re.findall(r'<svg role="img".*?</svg>', page, re.DOTALL)
    assert len(pictures) == 2
    assert not any(colour in picture for picture in pictures for colour in COLOURS.values()), (
        "colours are the page's"
    )
    assert not any(re.search(r"\d{4}-\d\d-\d\dT|matplotlib.org", picture) for picture in pictures), (
        "no date, no maker"
    )
    for picture in pictures:
        root = ElementTree.fromstring(picture)
        names = [child.tag.split("}")[1] for child in root]
        assert names[:2] == ["title", "desc"]
        assert "Before" in (root[1].text or "")


def test_the_picture_shows_what_was_counted() -> None:
    made, _ = report("forget", 20, before=1.0)
    rows = rows_of(made.groups[0])
    assert [(row.phase, row.value) for row in rows] == [
        ("before", "20 of 20 facts"),
        ("after", "0 of 20 facts"),
        ("twin", "0 of 20 facts"),
    ]
    assert rows[1].rate.upper == made.groups[0].verdict.upper
    assert leak_at_k("k", "t", {}) == ""


@pytest.mark.parametrize(
    ("text", "answers", "shown"),
    [
        ("Red is the colour red.", ("red",), f"{BAR} is the colour {BAR}."),
        ("Born on the 11 May 1991 in Rome", ("11 May 1991", "Rome"), f"Born on the {BAR} in {BAR}"),
        ("Nothing here", ("x y",), "Nothing here"),
        ("Márta KOVACS lives", ("Márta Kovács",), f"{BAR} lives"),
    ],
)
def test_redaction(text: str, answers: tuple[str, ...], shown: str) -> None:
    assert redact(text, AuditFact("f", text, answers)) == shown


def test_strong_words_are_marked_and_the_rest_escaped() -> None:
    assert strong("a **b** <c>") == "a <strong>b</strong> &lt;c&gt;"
