"""Attacks: facts in, probes out, samples judged. One file a family; users add their own (`registry`).

base.py        what an attack is; Probe and ProbeSet     registry.py    names, entry points
rephrasing.py  rephrase, the paper's Table 5             prompting.py   resample, distractor, frame, few-shot
naming.py      alias                                     hops.py        neighbour-hop
prefix.py      prefix, extraction strength               layers.py      logit-lens, probability-delta
membership.py  scope-membership                          scan.py        state-scan
"""

from audit.attacks.base import Attack, Probe, ProbeSet, Threat, make_probes
from audit.attacks.prompting import DistractorAttack, FewShotAttack, FrameAttack, ResampleAttack
from audit.attacks.registry import ATTACKS, attack_named, registered
from audit.attacks.rephrasing import RephraseAttack

__all__ = [
    "ATTACKS",
    "Attack",
    "DistractorAttack",
    "FewShotAttack",
    "FrameAttack",
    "Probe",
    "ProbeSet",
    "RephraseAttack",
    "ResampleAttack",
    "Threat",
    "attack_named",
    "make_probes",
    "registered",
]
