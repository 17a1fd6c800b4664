"""Writing facts: each is in the memory once, whatever happens on the way."""

from collections.abc import Callable

import pytest

from store import facts
from store.texts import FactText
from tests.workers.conftest import Shop
from workers import write


def states(shop: Shop) -> list[str]:
    with shop.database.session(read_only=True) as session:
        return [fact.state for fact in facts.list_facts(session, "default", limit=200).items]


def test_facts_are_written_in_portions_and_marked(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(write, "PORTION", 2)
    job = shop.write(shop.texts(5))
    assert shop.runner().run(job.id)
    assert states(shop) == ["written"] * 5
    assert shop.revision() == 3
    done = shop.job(job.id)
    assert (done.state, done.step, done.progress_done, done.progress_total) == ("done", "write", 5, 5)


def test_a_worker_that_dies_between_portions_repeats_nothing(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(write, "PORTION", 2)
    job = shop.write(shop.texts(5))
    portions: list[int] = []
    real = write._write

    def dies(context: object, portion: list[object]) -> None:
        if len(portions) == 1:
            raise RuntimeError
        portions.append(len(portion))
        real(context, portion)  # type: ignore[arg-type]

    monkeypatch.setattr(write, "_write", dies)
    assert not shop.runner().run(job.id)
    monkeypatch.setattr(write, "_write", real)
    assert shop.runner().run(job.id)
    assert states(shop) == ["written"] * 5
    assert shop.revision() == 3


def test_the_model_is_loaded_once_and_its_bank_follows_other_workers(
    shop: Shop, written: Callable[[int], list[FactText]]
) -> None:
    first, second = shop.runner("first"), shop.runner("second")
    first.run(shop.write(shop.texts(3)).id)
    second.run(shop.write([FactText("The city of Kim Other is", "Lund", "Kim Other")]).id)
    first.run(shop.write([FactText("The job of Lee Third is", "baker", "Lee Third")]).id)
    assert shop.larimar.loads == 2
    assert len(shop.ledger_ids()) == 5
    assert shop.revision() == 3


def test_the_model_learns_what_else_tells_an_answer() -> None:
    text = FactText("Karen Blixen is from", "Denmark", "Karen Blixen", ("Isak Dinesen",))
    made = write.model_fact("f", text)
    assert (made.answer, made.aliases, made.telling) == ("Denmark", text.aliases, ("Danish", "Dane", "Danes"))
    assert write.model_fact("f", FactText("Her tongue is", "Danish", "", ())).telling == ()
