"""From what a caller sent to what the store takes: fact texts, and the limits and holidays of the installation."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from sqlalchemy.orm import Session

from store import requests
from store.models import Request
from store.texts import FactText, Limits
from web.context import services
from web.identity import caller


class FactLike(Protocol):
    """The fields of a fact, wherever they came from."""

    prompt: str
    answer: str
    subject: str
    aliases: list[str]


def fact_texts(facts: Iterable[FactLike]) -> list[FactText]:
    """The facts as the store takes them; it strips and checks them."""
    return [FactText(fact.prompt, fact.answer, fact.subject, tuple(fact.aliases)) for fact in facts]


def limits() -> Limits:
    """How long and how many, from the settings."""
    settings = services().settings
    return Limits(
        max_fact_chars=settings.max_fact_chars, max_facts_per_request=settings.max_facts_per_request
    )


def submit(session: Session, submission: requests.Submission) -> Request:
    """Take a request of the caller in, by the installation's rules. Raises what `store.requests.submit` raises."""
    return requests.submit(
        session,
        services().vault,
        submission,
        actor=caller().user_id,
        limits=limits(),
        holidays=services().settings.holidays,
    )
