"""Property tests of the audit: no time limit for a single example, because the machine may be busy."""

from hypothesis import settings

settings.register_profile("audit", deadline=None, max_examples=60)
settings.load_profile("audit")
