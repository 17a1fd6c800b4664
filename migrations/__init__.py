"""Alembic migrations of the store: `env.py` and `versions/`. `store.schema` runs them from code."""
