"""The event log over the API: its signed head and proofs (RFC 6962). Hashes only; nobody is named."""

from __future__ import annotations

import json

from audit import merkle
from store import certificates, log
from web.api import api
from web.api.guard import requires
from web.api.inputs import ConsistencyQuery, InclusionQuery
from web.api.outputs import ConsistencyOut, InclusionOut, TreeHeadOut
from web.context import reading
from web.problems import Problem


@api.get("/log/head")
@requires("reports:read")
@api.output(TreeHeadOut)
def log_head() -> TreeHeadOut:
    """Get the newest signed tree head

    Keep it outside of this service: later heads can be compared with it.
    """
    with reading() as session:
        head = certificates.newest_head(session)
    if head is None:
        raise Problem(404, "no_tree_head", "Nothing has been signed yet.")
    return TreeHeadOut(size=head.size, envelope=json.loads(head.envelope))


@api.get("/log/inclusion")
@requires("reports:read")
@api.input(InclusionQuery, location="query")
@api.output(InclusionOut)
def log_inclusion(query_data: InclusionQuery) -> InclusionOut:
    """Prove that the newest signed tree head holds an entry"""
    seq = query_data.seq
    with reading() as session:
        head = certificates.newest_head(session)
        size = 0 if head is None else head.size
        leaves = log.hashes(session, limit=size) if seq <= size else []
    if not leaves:
        raise Problem(404, "no_such_entry", "The newest signed tree head holds no such entry.")
    path = merkle.inclusion_proof(leaves, seq - 1)
    return InclusionOut(size=size, index=seq - 1, leaf=leaves[seq - 1].hex(), path=[n.hex() for n in path])


@api.get("/log/consistency")
@requires("reports:read")
@api.input(ConsistencyQuery, location="query")
@api.output(ConsistencyOut)
def log_consistency(query_data: ConsistencyQuery) -> ConsistencyOut:
    """Prove that the newest signed tree head continues an earlier one"""
    with reading() as session:
        head = certificates.newest_head(session)
        size = 0 if head is None else head.size
        leaves = log.hashes(session, limit=size) if query_data.first <= size else []
    if not leaves:
        raise Problem(404, "no_such_entry", "The newest signed tree head has fewer entries.")
    path = merkle.consistency_proof(leaves, query_data.first)
    return ConsistencyOut(first=query_data.first, second=size, path=[node.hex() for node in path])
