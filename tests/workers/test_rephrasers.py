"""Sources of rephrasings by name; a model's wordings certify and never repair."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from audit.errors import AuditError
from audit.facts import AuditFact
from audit.rephrase import MixedRephraser, TemplateRephraser
from audit.transcript import Transcript
from store import audits
from tests.workers.conftest import Shop
from tests.workers.test_suite import report_of
from workers import rephrasers
from workers.rephrasers import open_rephraser

FACT = AuditFact("f1", "The mother tongue of Pat Sample0 is", ("Tongue0",), "Pat Sample0")


class Trained:
    """A rephraser that always says the same three things about whom it is asked."""

    name = "scripted rephraser"
    asked = 0

    def sample(self, prompts: Sequence[str], *, samples: int, **_: object) -> list[list[str]]:
        self.asked += 1
        name = prompts[0].removeprefix("The mother tongue of ").removesuffix(" is")
        said = [
            f"{name} was raised with the language",
            f"Which tongue is native to {name}?",
            "Which tongue is hers?",
        ]
        return [[said[n % 3] for n in range(samples)]]


class Embedder:
    """All texts are alike."""

    def embed(self, texts: Sequence[str]) -> np.ndarray:
        return np.ones((len(texts), 1))


@pytest.fixture
def trained(monkeypatch: pytest.MonkeyPatch) -> Trained:
    model = Trained()
    monkeypatch.setattr(rephrasers, "_trained", lambda device, directory: model)
    monkeypatch.setattr(rephrasers, "_embedder", lambda device: Embedder())
    return model


def test_every_source_opens_by_its_name(trained: Trained, tmp_path: Path) -> None:
    assert isinstance(open_rephraser("templates"), TemplateRephraser)
    assert isinstance(open_rephraser("mixed"), MixedRephraser)
    assert isinstance(open_rephraser("mixed:weights"), MixedRephraser)
    assert {p.source for p in open_rephraser("model:weights").rephrase(FACT, 4, 0)} == {"rephraser"}
    (tmp_path / "own.csv").write_text("id,phrasing\nf1,Pat Sample0 speaks which tongue?\n")
    own = open_rephraser(f"list:{tmp_path / 'own.csv'}")
    assert [p.text for p in own.rephrase(FACT, 4, 0)] == ["Pat Sample0 speaks which tongue?"]
    assert str(tmp_path) not in own.name


@pytest.mark.parametrize("spec", ["", "list:", "hf:", "model:", "mixed:", "gpt", "Templates", "openai:x"])
def test_anything_else_is_refused(spec: str) -> None:
    with pytest.raises(AuditError, match="a rephraser is"):
        open_rephraser(spec)


def test_a_model_is_asked_once_for_the_same(trained: Trained) -> None:
    source = open_rephraser("model:weights")
    assert source.rephrase(FACT, 4, 7) == source.rephrase(FACT, 4, 7)
    assert trained.asked == 1


def prompts_of(shop: Shop, request_id: str, phase: str) -> set[str]:
    with shop.database.session(read_only=True) as session:
        [run] = audits.runs_of(session, request_id)
        text = audits.transcript(session, shop.vault, run.id, phase)
    assert text is not None
    return {line.prompt for line in Transcript.from_bytes(text).lines}


def test_a_models_wordings_certify_and_are_never_repaired_with(
    shop: Shop, trained: Trained, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop = replace(shop, settings=shop.settings.model_copy(update={"rephraser": "mixed:weights"}))
    [text] = shop.texts(1)
    shop.larimar.knows, shop.larimar.narrow = {text.subject: text.answer}, True
    learned: list[str] = []
    widen = shop.larimar.widen
    monkeypatch.setattr(
        shop.larimar, "widen", lambda self, fact_id, lines: (learned.extend(lines), widen(self, fact_id, lines))[1]
    )  # fmt: skip
    request_id = shop.submit("censor", [text])
    assert shop.runner().run(shop.approve(request_id).id)
    assert shop.request(request_id).state == "completed"
    said = {f"{text.subject} was raised with the language", f"Which tongue is native to {text.subject}?"}
    assert prompts_of(shop, request_id, "after") & said == said
    assert report_of(shop, request_id).method.rephraser == "trained rephraser weights and templates"
    assert learned
    assert not said & set(learned)
    assert not prompts_of(shop, request_id, "after") & prompts_of(shop, request_id, "after-1")
