"""The store's promises, kept on SQLite and on Postgres."""
