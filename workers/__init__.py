"""Celery workers: the only place where larimar, audit and store meet."""
