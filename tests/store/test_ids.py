"""Identifiers are opaque, short and never the same."""

import re

from store.ids import new_id


def test_an_id_is_a_prefix_and_26_lower_case_base32_characters() -> None:
    assert re.fullmatch(r"req_[a-z2-7]{26}", new_id("req"))


def test_ids_do_not_repeat() -> None:
    assert len({new_id("x") for _ in range(2000)}) == 2000
