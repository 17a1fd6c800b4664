"""The sentences of the report, for readers who are not engineers. Numbers come in, plain English goes out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

from audit.counts import Kind
from audit.detect import DetectorQuality
from audit.policy import Policy
from audit.schema import Group
from audit.statistics import percent

VERDICT_WORDS = {"pass": "Passed", "fail": "Failed", "inconclusive": "Inconclusive"}
KIND_WORDS: dict[Kind, str] = {"forget": "Forget", "censor": "Censor", "check": "Check"}
PHASE_WORDS = {"before": "Before", "after": "After", "twin": "Never-written twin"}
DONE_WORDS: dict[Kind, str] = {
    "forget": "The facts were taken out of the model's memory. A removal is exact: what is left is computed "
    "from the facts that stay, as though the removed ones had never been written.",
    "censor": "The model's own knowledge of these facts is no longer spoken: in the memory their answer was "
    "overwritten with «unknown». The model's weights were not changed.",
    "check": "Nothing was changed here: the audit asks a model, as it is, whether it tells these facts.",
}
THREAT_MODEL: dict[Kind | str, str] = {
    "both": "The attacker can put any prompt to the served model and take any number of answers (black-box "
    "access), but sees neither its memory nor its weights.",
    "forget": "For a **forget**, access to the weights does not help: the facts were only ever in the "
    "memory, which now equals the one in which they were never written.",
    "censor": "For a **censor**, an attacker with the weights is not covered: the base decoder still holds "
    "what its pretraining put there.",
    "check": "For a **check**, an attacker with the weights is not covered: silence under attack does not show that "
    "the weights do not hold the facts.",
}


def plural(count: int, noun: str) -> str:
    """«1 fact», «20 facts»."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def top_k_words(top_k: int | None) -> str:
    """From how many tokens each was drawn, as far as it is known."""
    return "the endpoint's own" if top_k is None else str(top_k)


def day(moment: datetime) -> str:
    """«23 Nov 2026»."""
    return f"{moment.astimezone(UTC):%-d %b %Y}"


def _done(kind: Kind, count: int) -> str:
    verb = {"forget": "removed", "censor": "blocked", "check": "audited"}[kind]
    return f"the {count} {verb} facts" if count > 1 else f"the {verb} fact"


def _finding(group: Group) -> str:
    """What was seen: «None of the 20 removed facts could be got out of the model.»"""
    verdict, facts = group.verdict, len(group.after.audited)
    done, tries = _done(group.kind, facts), plural(group.after.scored, "attempt")
    if verdict.guesses and not verdict.leaked:
        return (
            f"In {verdict.guesses} of {tries} the model gave the answer, but no more often than a model that never "
            f"held {'the facts' if facts > 1 else 'the fact'}: a guess, not a leak. Beyond guesses nothing was told."
        )
    beyond = " beyond guesses" if verdict.guesses else ""
    if verdict.unit == "facts":
        if not verdict.leaked:
            return f"None of {done} could be got out of the model in {tries}."
        return f"The model still told {verdict.leaked} of {done}{beyond}."
    told = str(verdict.leaked) if verdict.leaked else "None"
    if verdict.unit == "prompts":
        return f"{told} of {plural(verdict.total, 'prompt')} ({tries}) got {done} out of the model{beyond}."
    return f"{told} of {tries} to get {done} out of the model succeeded{beyond}."


def _bound(group: Group, policy: Policy) -> str:
    """What follows: «With 95 % confidence, at most 13.9 % …»"""
    verdict = group.verdict
    sure = f"With {percent(policy.confidence)} confidence"
    beyond = " beyond guesses" if verdict.guesses else ""
    if verdict.unit == "facts":
        return f"{sure}, at most {percent(verdict.upper)} of facts like these come out{beyond} under this attack."
    share = percent(verdict.upper)
    one = "prompt" if verdict.unit == "prompts" else "attempt"
    return f"{sure}, a further {one} of the same kind succeeds{beyond} at most {share} of the time."


def sentence(group: Group, policy: Policy) -> str:
    """The result of one group in words, with the bound that the verdict rests on."""
    verdict = group.verdict
    never = "the facts were" if len(group.after.facts) > 1 else "the fact was"
    equal = f"The memory is, bit for bit, the one in which {never} never written."
    if verdict.by_equality and verdict.value == "pass":
        return (
            f"{equal} That is what is shown; the attack adds nothing to it, because it got nothing out of "
            "the model even before the removal."
        )
    blocked = next((reason.text for reason in verdict.reasons if reason.weight == "blocks"), "")
    if verdict.value == "inconclusive" and (not verdict.total or blocked):
        seen = f" {_finding(group)}" if verdict.total else ""
        return f"This audit does not show whether the model still tells. {blocked}{seen}"
    again = next((reason.text for reason in verdict.reasons if reason.code == "restated"), "")
    if again:
        return f"{again} {_finding(group)}"
    if any(reason.code == "not-equal" for reason in verdict.reasons):
        unequal = f"the memory is not the one in which {never} never written"
        return f"The removal is not confirmed: {unequal}. {_finding(group)}"
    hidden = [r.text for r in verdict.reasons if r.code in ("fact-told", "leaks-in-reach")]
    if hidden:
        return f"{_finding(group)} {hidden[0]}"
    proof = f" {equal}" if group.kind == "forget" and verdict.value == "pass" else ""
    return f"{_finding(group)} {_bound(group, policy)}{proof}"


def headline(groups: Sequence[Group], policy: Policy) -> str:
    """The top of the report."""
    if len(groups) == 1:
        return sentence(groups[0], policy)
    return " ".join(f"{KIND_WORDS[group.kind]}: {sentence(group, policy)}" for group in groups)


def _group_limits(group: Group, policy: Policy) -> Iterator[str]:
    verdict, name = group.verdict, KIND_WORDS[group.kind]
    if verdict.unit == "facts":
        yield (
            f"{name}: the bound is about facts like the {len(group.after.audited)} that were audited, each "
            "attacked with the stated number of attempts. It says nothing about facts of another kind or "
            "about a larger number of attempts."
        )
    elif verdict.total:
        seen = group.figures["after"].by_attempt
        yield (
            f"{name}: with fewer than {policy.min_facts} facts the bound is about further prompts on "
            "exactly these facts, not about other facts. Samples of one prompt are alike, so a prompt counts "
            f"once, as told when any of its samples tells; of all attempts, {seen.leaked} of {seen.total} told."
        )
    if group.kind == "check" and group.twin is not None:
        yield (
            f"{name}: a model that never knew the facts told {group.twin.leaked} of {group.twin.scored} attempts. "
            "Such guesses are not taken off: the samples of two models differ by chance, so every answer counts."
        )
    if verdict.upper_all_looks is not None:
        yield _looks_limit(group, percent(verdict.upper_all_looks))
    unnamed = sum(not probe.identifies_subject for probe in group.after.probes)
    if unnamed:
        of_all = f"{unnamed} of {len(group.after.probes)} probes"
        yield f"{name}: {of_all} do not name the subject; they count like all others."


def _looks_limit(group: Group, corrected: str) -> str:
    """What looking again costs. Bonferroni over the looks so far is none of the bounds that hold for who goes on."""
    anytime = f" and is {percent(group.trend[-1].anytime)} of further attempts" if group.trend else ""
    missing = sum(request.unreported for request in group.requests)
    selective = (
        f" {plural(missing, 'earlier audit')} left no readable report and {'is' if missing == 1 else 'are'} not in it."
        if missing
        else ""
    )
    return (
        f"{KIND_WORDS[group.kind]}: this is look {group.looks}, counting repairs and earlier audits of the same "
        "request, also those that were stopped or failed while they attacked. The stated bound is this look's; "
        f"corrected for the looks so far, it is {corrected}. Who looks until it fits needs the bound that holds "
        f"however often one looks: it stands in the trend of the request{anytime}.{selective}"
    )


def _kind_limits(kinds: set[Kind]) -> Iterator[str]:
    if "forget" in kinds:
        yield (
            "Forget removes what was written into this memory. What the base decoder learned in its "
            "pretraining, and copies elsewhere (backups, logs, other systems), are not part of it."
        )
    if "censor" in kinds:
        yield (
            "Censor blocks an answer; it does not erase what the base decoder's weights hold. Someone who "
            "has the weights can still get it, and that an answer is blocked can itself be noticed."
        )


def limits(groups: Sequence[Group], policy: Policy, quality: DetectorQuality | None) -> tuple[str, ...]:
    """What this report does not show, in words."""
    phase = groups[0].after
    said = [
        "An upper bound is not a promise of zero: it is the largest leak rate that the attempts leave "
        "plausible."
    ]
    for group in groups:
        said += _group_limits(group, policy)
    said += _kind_limits({group.kind for group in groups})
    said.append(
        "The phrasings are English and come from a fixed set of frames (and a small model where stated). A "
        "person who keeps trying in other ways, in other languages, or with hints may get further than this "
        "attack."
    )
    said.append(f"Outputs were read up to {phase.max_tokens} tokens; what comes later is not judged.")
    if quality is None:
        said.append("The detector was not measured for this report.")
    else:
        said.append(_detector_limit(groups, policy, quality))
    return tuple(said)


def _detector_limit(groups: Sequence[Group], policy: Policy, quality: DetectorQuality) -> str:
    """What the detector misses, and what that does to the bound."""
    own, found = quality.leaks - quality.reworded, quality.leaks_found - quality.reworded_found
    listed = (
        " and for listed words derived from them («Danish» for «Denmark»)" if quality.reworded_found else ""
    )
    said = (
        f"The detector looks for the answer's own words{listed}. On {quality.leaks + quality.harmless} labelled "
        f"outputs it found {found} of {own} leaks in its own words and passed {quality.harmless_passed} of "
        f"{quality.harmless} harmless outputs."
    )
    if quality.reworded:
        said += (
            f" Of {quality.reworded} leaks in other words (derived words, translations, synonyms, abbreviations, "
            f"misspellings) it found {quality.reworded_found}: what it misses of that kind is not in the bound."
        )
    bounds = "; ".join(
        f"{KIND_WORDS[group.kind].lower()} {percent(group.verdict.upper_with_misses)}"
        for group in groups
        if group.verdict.upper_with_misses is not None
    )
    if bounds:
        rules = plural(len(quality.own_words_by_rule), "rule")
        said += (
            f" Allowing for what it misses of the answer's own words, as far as outputs are like the labelled ones, "
            f"the upper bound becomes: {bounds}. The labelled leaks were made by {rules}, and what one rule made is "
            "alike, so they count for fewer than they are; the two bounds that it is made of hold together with "
            f"{percent(policy.confidence)} confidence."
        )
    return said
