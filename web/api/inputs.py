"""What comes into the JSON API. Form is checked here; what it means is checked by `store`."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints

from store.texts import MAX_ALIASES

Kind = Literal["forget", "censor"]
Regulation = Literal["gdpr", "ccpa", "other"]
FactState = Literal["pending", "written", "forgotten", "failed"]
MAX_TEXT = 4000
MAX_FACTS = 1000


def _storable(text: str) -> str:
    """NUL cannot be stored by every database; refuse it here, in words."""
    if "\x00" in text:
        raise ValueError("Remove the NUL character.")
    return text


Text = Annotated[str, StringConstraints(max_length=MAX_TEXT), AfterValidator(_storable)]
NonEmptyText = Annotated[str, StringConstraints(min_length=1, max_length=MAX_TEXT), AfterValidator(_storable)]


class In(BaseModel):
    """Base of what comes in: unknown fields are refused, so that a misspelt one is not silently lost."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)


class FactIn(In):
    """A fact: a prompt and its answer, and the person whom it is about."""

    prompt: NonEmptyText = Field(description="A sentence to complete, or a question.")
    answer: Text = Field(
        default="", description="What the model must not tell. Needed for every kind of request."
    )
    subject: Text = Field(default="", description="The person whom the fact is about.")
    aliases: list[NonEmptyText] = Field(
        default_factory=list, max_length=MAX_ALIASES, description="Other names of that person."
    )


class RequestIn(In):
    """A forget or censor order."""

    kind: Kind
    facts: list[FactIn] = Field(min_length=1, max_length=MAX_FACTS)
    regulation: Regulation = "gdpr"
    reference: str = Field(
        default="",
        max_length=64,
        pattern=r"^[A-Za-z0-9._-]*$",
        description="Your own case number; no personal data.",
    )


class FactsIn(In):
    """Facts to be written into the memory."""

    facts: list[FactIn] = Field(min_length=1, max_length=MAX_FACTS)


class ReasonIn(In):
    """Why: kept with the request. Do not repeat personal data."""

    reason: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=2000)]


class RecheckIn(In):
    """How often the audit runs again."""

    every_days: int = Field(ge=1, le=366, strict=True)


class Page(In):
    """Where a list starts and how long it is. `cursor` comes from `next_cursor` of the page before."""

    limit: int = Field(default=50, ge=1, le=200)
    cursor: str | None = Field(default=None, max_length=200)


class RequestFilter(Page):
    """Filters of the list of requests; `state` may name several, separated by commas."""

    state: str | None = Field(
        default=None,
        max_length=200,
        pattern=r"^[a-z]+(,[a-z]+)*$",
        description="One or more states, separated by commas.",
    )
    kind: Kind | None = None


class FactFilter(Page):
    """Filters of the list of facts."""

    state: FactState | None = None


class ConsistencyQuery(In):
    """The size of a tree head that you kept."""

    first: int = Field(ge=1, le=2**53)


class InclusionQuery(In):
    """The place of an event in the log, from 1."""

    seq: int = Field(ge=1, le=2**53)
