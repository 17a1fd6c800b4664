"""All audits of one request as one self-contained page. The markup is templates/trend.html.j2."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.resources import files

from markupsafe import Markup

from audit import picture
from audit.page import environment
from audit.schema import TrendPoint
from audit.statistics import percent
from audit.verdict import Policy
from audit.wording import plural


def sentence(points: Sequence[TrendPoint], policy: Policy) -> str:
    """The trend in words: what was seen last, and what all audits together allow to say."""
    last = points[-1]
    seen = (
        f"{last.look.leaked} of {plural(last.look.attempts, 'attempt')} in the newest audit told the answer"
    )
    since = " since counting began anew" if any(point.anew for point in points[1:]) else ""
    return (
        f"{seen}; {last.leaked_so_far} of {last.attempts_so_far} in all audits{since}. With "
        f"{percent(policy.confidence)} confidence, however often one looks, a further attempt of the same kind "
        f"succeeds at most {percent(last.anytime)} of the time, on the average of these audits."
    )


def render(points: Sequence[TrendPoint], policy: Policy, *, unread: int = 0) -> bytes:
    """Render the page. `unread`: reports that were left out. Raises ValueError when there are no points."""
    if not points:
        raise ValueError("a trend needs at least one audit")
    drawn = picture.trend("trend", "Leak rate over all audits", points, policy.threshold)
    page = (
        environment()
        .get_template("trend.html.j2")
        .render(
            points=points,
            drawn=Markup(drawn),
            said=sentence(points, policy),
            confidence=policy.confidence,
            unread=unread,
            style=Markup((files("audit") / "templates" / "report.css").read_text(encoding="utf-8")),
        )
    )
    return page.encode()
