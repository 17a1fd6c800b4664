"""The golden reports.

python -m tests.audit.golden_files     writes them anew; look at the difference before you commit it
"""

from datetime import timedelta
from functools import cache
from pathlib import Path

from audit.compare import Comparison, compare
from audit.report import RepairRound, Report, pool
from audit.trend import look_of
from tests.audit.fakes import NOW, report

FOLDER = Path(__file__).parent / "golden"


def comparison() -> Comparison:
    """Of an audit and a re-check a month later, in which something came back."""
    before, _ = report("censor", 3, before=0.5, produced_at=NOW - timedelta(days=30))
    after, _ = report("censor", 3, before=0.5, after=0.4, seed=2)
    return compare(before, after)


def rechecked() -> Report:
    """The third look at a request."""
    looks = [
        look_of(report("censor", 3, produced_at=NOW - timedelta(days=days), seed=days)[0])
        for days in (60, 30)
    ]
    return report("censor", 3, before=0.5, after=0.02, history=looks, earlier_audits=2)[0]


@cache
def golden() -> dict[str, bytes]:
    """The bytes of every golden file by name."""
    forget, facts = report("forget", 20, before=lambda fact: 0.0 if fact.id.endswith("7") else 0.6)
    repairs = (RepairRound(round=1, facts_leaking=3, phrasings_added=7),)
    censor, others = report(
        "censor", 3, before=0.5, after=0.05, prefix="other", request="req_b", repairs=repairs
    )
    both = pool([forget, censor], produced_at=NOW)
    texts = {fact.id: fact for fact in (*facts, *others)}
    return {
        "forget.json": forget.to_json(), "forget.html": forget.to_html(texts), "pool.json": both.to_json(),
        "pool.html": both.to_html(), "recheck.json": rechecked().to_json(), "recheck.html": rechecked().to_html(),
        "comparison.json": comparison().to_json(), "comparison.html": comparison().to_html(),
    }  # fmt: skip


if __name__ == "__main__":
    for name, data in golden().items():
        (FOLDER / name).write_bytes(data)
