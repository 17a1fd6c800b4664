"""What a caller gives, checked before anything is done with it."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence

from larimar.errors import InvalidInput

_HALF = re.compile(r"[\ud800-\udfff]")


def require_texts(name: str, given: Collection[object]) -> None:
    """Refuse one bare text, whose characters would pass for texts, and a list with anything else than texts.

    Half of a character is no text: UTF-8 cannot encode it. Raises InvalidInput.
    """
    if isinstance(given, str) or not isinstance(given, Collection):
        raise InvalidInput(f"{name}: give a list of texts, even of a single one")
    for text in given:
        if not isinstance(text, str) or _HALF.search(text):
            raise InvalidInput(f"{name}: give a str of whole characters, without halves of surrogate pairs")


def require_targets(targets: Sequence[str], prompts: int) -> None:
    """Refuse targets that are no list of texts, or not one for each of so many prompts. Raises InvalidInput."""
    require_texts("targets", targets)
    if len(targets) != prompts:
        raise InvalidInput(f"expected one target for each of {prompts} prompts, not {len(targets)}")
