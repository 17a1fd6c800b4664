"""Everything that Unwrite keeps: requests, facts under encryption, the ledger, jobs, audits, people, events.

The room imports no torch, no web framework and no Celery. Every function takes an open SQLAlchemy session, so
the caller decides what belongs to one transaction; `store.database.Database` opens them.
"""
