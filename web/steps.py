"""Which steps a caller may take on a request now: the state machine's word, cut down by role and by dual
control; and whether its texts are shown to them.
"""

from __future__ import annotations

from sqlalchemy.orm import Session

from store.models import Request
from store.states import allowed_events
from web.identity import Caller

HUMAN_STEPS = {
    "approve": "requests:decide",
    "retry": "requests:decide",
    "accept": "requests:decide",
    "deny": "requests:decide",
    "cancel": "requests:write",
    "stop_audit": "requests:decide",
}
FOR_ANOTHER_PERSON = frozenset({"approve", "accept"})  # dual control: not for who submitted the request


def allowed_steps(session: Session, request: Request, caller: Caller, allow_self_approval: bool) -> list[str]:
    """The steps by name, in the order in which pages show them."""
    possible = set(allowed_events(session, request))
    steps = [step for step, scope in HUMAN_STEPS.items() if step in possible and caller.can(scope)]
    if is_own(request, caller) and not allow_self_approval:
        steps = [step for step in steps if step not in FOR_ANOTHER_PERSON]
    return steps


def is_own(request: Request, caller: Caller) -> bool:
    """Whether the caller submitted this request."""
    return request.submitted_by == caller.user_id


def may_read_texts(request: Request, caller: Caller) -> bool:
    """Whether prompts, answers and names are shown: to who decides and to who submitted, to nobody else."""
    return caller.can("requests:decide") or is_own(request, caller)


def approval_note(request: Request, caller: Caller, allow_self_approval: bool) -> str:
    """Why there is no button to approve or to accept, where a reader would look for one."""
    if request.state == "received" and not caller.can("requests:decide"):
        return "A reviewer decides on this request."
    if not is_own(request, caller) or allow_self_approval or not caller.can("requests:decide"):
        return ""
    if request.state == "received":
        return "You submitted this request, so another reviewer must approve it."
    if request.state == "residual":
        return "You submitted this request, so another reviewer must accept what still leaks. You may repair it again."
    return ""
