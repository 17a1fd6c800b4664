"""The attacks by name: the shipped ones and those of other packages (entry points of group `unwrite.attacks`).

[project.entry-points."unwrite.attacks"]
my-attack = "my_package.attacks:MyAttack"          a subclass of audit.attacks.Attack
"""

from __future__ import annotations

import dataclasses
from importlib.metadata import entry_points
from typing import Any

from audit.attacks.base import Attack
from audit.attacks.hops import NeighbourHopAttack
from audit.attacks.layers import LogitLensAttack, ProbabilityDeltaAttack
from audit.attacks.membership import ScopeMembershipAttack
from audit.attacks.naming import AliasAttack
from audit.attacks.prefix import PrefixAttack
from audit.attacks.prompting import DistractorAttack, FewShotAttack, FrameAttack, ResampleAttack
from audit.attacks.rephrasing import RephraseAttack
from audit.attacks.scan import StateScanAttack
from audit.errors import AuditError, UnknownAttack

GROUP = "unwrite.attacks"
ATTACKS: dict[str, type[Attack]] = {
    attack.key: attack
    for attack in (
        RephraseAttack, ResampleAttack, DistractorAttack, FrameAttack, AliasAttack, FewShotAttack, PrefixAttack,
        NeighbourHopAttack, LogitLensAttack, ProbabilityDeltaAttack, ScopeMembershipAttack, StateScanAttack,
    )
}  # fmt: skip
"""the shipped attacks"""


def registered() -> dict[str, type[Attack]]:
    """Every attack that is installed. Raises AuditError when a package offers something else, or a taken name."""
    found = dict(ATTACKS)
    for point in entry_points(group=GROUP):
        made = point.load()
        if not (isinstance(made, type) and issubclass(made, Attack) and dataclasses.is_dataclass(made)):
            raise AuditError(f"the entry point {point.name!r} of {GROUP} is not an attack: {point.value}")
        if point.name in found or made.key != point.name:
            raise AuditError(
                f"the attack {point.name!r} ({point.value}) must have a free name that is also its key"
            )
        found[point.name] = made
    return found


def attack_named(name: str, **parameters: Any) -> Attack:
    """Return a registered attack, with its default parameters where none are given. Raises UnknownAttack."""
    known = registered()
    if name not in known:
        raise UnknownAttack(f"no attack is called {name!r}; there are: {', '.join(sorted(known))}")
    try:
        return known[name](**parameters)
    except TypeError:
        raise UnknownAttack(
            f"the attack {name!r} does not take these parameters: {', '.join(parameters)}"
        ) from None
