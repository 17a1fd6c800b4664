"""All audits of one request as one self-contained page. The markup is templates/trend.html.j2."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.resources import files

from markupsafe import Markup

from audit import picture
from audit.page import environment
from audit.policy import Policy
from audit.schema import TrendPoint
from audit.statistics import percent
from audit.wording import plural


def sentence(points: Sequence[TrendPoint], policy: Policy, *, left_out: int = 0) -> str:
    """The trend in words: what was seen last, and what all audits together allow to say. `left_out`: audits that
    attacked and are not among the points; the bound holds however often one looks only where there are none.
    """
    last = points[-1]
    seen = (
        f"{last.look.leaked} of {plural(last.look.attempts, 'attempt')} in the newest audit told the answer"
    )
    since = " since counting began anew" if any(point.anew for point in points[1:]) else ""
    shown, often = ("all audits shown", "") if left_out else ("all audits", "however often one looks, ")
    selective = f" {plural(left_out, 'audit')} left out: these figures are a selection." if left_out else ""
    return (
        f"{seen}; {last.leaked_so_far} of {last.attempts_so_far} in {shown}{since}. With "
        f"{percent(policy.confidence)} confidence, {often}a further attempt of the same kind "
        f"succeeds at most {percent(last.anytime)} of the time, on the average of these audits.{selective}"
    )


def render(points: Sequence[TrendPoint], policy: Policy, *, unreported: int = 0, unread: int = 0) -> bytes:
    """Render the page. Left out are `unreported` audits, which were stopped or failed, and `unread` reports. Raises
    ValueError when there are no points.
    """
    if not points:
        raise ValueError("a trend needs at least one audit")
    drawn = picture.trend("trend", "Leak rate over all audits", points, policy.threshold)
    page = (
        environment()
        .get_template("trend.html.j2")
        .render(
            points=points,
            drawn=Markup(drawn),
            said=sentence(points, policy, left_out=unreported + unread),
            confidence=policy.confidence,
            unreported=unreported,
            unread=unread,
            style=Markup((files("audit") / "templates" / "report.css").read_text(encoding="utf-8")),
        )
    )
    return page.encode()
