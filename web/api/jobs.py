"""Jobs over the API: how far a worker is."""

from __future__ import annotations

from store import jobs
from store.errors import UnknownJob, UnknownRequest
from web.api import api
from web.api.guard import requires
from web.api.outputs import JobOut
from web.context import reading
from web.identity import caller, visible_request


@api.get("/jobs/<job_id>")
@requires("requests:read")
@api.output(JobOut)
def show_job(job_id: str) -> JobOut:
    """Show a job"""
    with reading() as session:
        job = jobs.get(session, job_id)
        try:
            if job.request_id is not None:
                visible_request(session, job.request_id)
        except UnknownRequest:
            raise UnknownJob("There is no job with this id.") from None
        if job.request_id is None and caller().only_own is not None:
            raise UnknownJob("There is no job with this id.")
    return JobOut.of(job)
