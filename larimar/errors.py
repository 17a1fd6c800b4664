"""Typed errors of the model room: what was wrong, what was expected, what to do. No text of a fact is ever in them."""


class LarimarError(Exception):
    """Base of every error that `larimar` raises on purpose."""


class WeightsUnavailable(LarimarError):
    """Base weights are neither packaged, nor local, nor reachable on a hub."""


class CheckpointMismatch(LarimarError):
    """The checkpoint was trained for another decoder or another configuration."""


class CheckpointCorrupt(LarimarError):
    """A checkpoint file is missing, truncated or changed since it was saved."""


class UnknownFact(LarimarError):
    """The fact id is not in the bank, so there is nothing to forget."""


class DuplicateFact(LarimarError):
    """The fact id is in the bank already."""


class BankFull(LarimarError):
    """The memory would hold more rows than it recalls exactly (0.75 K)."""


class FactTooLong(LarimarError):
    """The text has more tokens than a fact may have, or than one latent holds where it must fit one."""


class InvalidInput(LarimarError):
    """A tensor or a text has the wrong shape, type or content."""
