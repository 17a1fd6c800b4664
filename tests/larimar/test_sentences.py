"""Sentences are found whatever spaces a text is written with, and no character of it is lost."""

from pathlib import Path

import hypothesis.strategies as st
import pytest
from hypothesis import given

from larimar import Fact, Larimar
from larimar.corpus import sentences
from larimar.sentences import segmented

SPACES = "\x85\xa0\u1680\u2000\u2003\u2009\u2028\u2029\u202f\u205f\u3000"


@pytest.mark.parametrize("space", SPACES)
def test_any_space_may_stand_before_a_full_stop(space: str, tiny: Larimar, tmp_path: Path) -> None:
    text = f"Danielle Darrieux was in group B{space}. Then she sang with{space}us."
    assert segmented(text) == [f"Danielle Darrieux was in group B{space}. ", f"Then she sang with{space}us."]
    (tmp_path / "texts").write_text(text.removesuffix("us.") + f"B{space}.", encoding="utf-8")
    assert isinstance(sentences(tmp_path / "texts"), list)
    tiny.censor([Fact("d", "Danielle Darrieux spoke", "French", "Danielle Darrieux")])
    assert len(tiny.generate([text])) == 1


def test_plain_spaces_are_left_to_the_splitter() -> None:
    assert segmented("She sang. \n\tHe\tdanced.  They left.")[0] == "She sang. \n\t"


@given(st.text(st.sampled_from("AbB.!?»(é\n\t \u3042\U0001f600" + SPACES), max_size=40))
def test_pieces_join_to_the_text(text: str) -> None:
    assert "".join(segmented(text)) == text
