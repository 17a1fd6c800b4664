"""The names of all `UNWRITE_…` variables, and which ones of an environment are none: a misspelt setting would
otherwise be passed over in silence. Values are never looked at.
"""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches

from unwrite.settings import Settings

PREFIX = "UNWRITE_"
OTHER = frozenset(
    {
        "UNWRITE_CACHE",  # where unpacked weights lie (larimar.weights)
        "UNWRITE_LOG_LEVEL",
        "UNWRITE_COMMIT",  # benchmarks, where no .git is
        "UNWRITE_REQUIRE_SERVICES",  # these three: tests
        "UNWRITE_SCREENSHOTS",
        "UNWRITE_TEST_POSTGRES",
    }
)
"""Variables that are read elsewhere than in Settings."""


def names_of(field: str) -> frozenset[str]:
    """The variables that set this field of Settings, in capitals."""
    alias = Settings.model_fields[field].validation_alias
    return frozenset({PREFIX + field.upper(), *([alias] if isinstance(alias, str) else [])})


def known() -> frozenset[str]:
    """All variables that mean something."""
    return OTHER.union(*map(names_of, Settings.model_fields))


def unknown(environment: Mapping[str, str]) -> list[str]:
    """What to tell about each variable that begins like a setting and is none. Small letters set a setting too."""
    settings = known() - OTHER
    strange = [
        name
        for name in sorted(environment)
        if name.upper().startswith(PREFIX) and name not in OTHER and name.upper() not in settings
    ]
    return [f"{name} is not a setting and has no effect{_advice(name)}" for name in strange]


def _advice(name: str) -> str:
    near = get_close_matches(
        name.upper().removeprefix(PREFIX), (one.removeprefix(PREFIX) for one in known()), n=1
    )
    return f"; did you mean {PREFIX}{near[0]}?" if near else "; docs/operator-guide.md lists all settings"
