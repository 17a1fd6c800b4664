"""What the audit raises. Messages never hold the text of a fact."""


class AuditError(Exception):
    """Base of all errors of the audit."""


class UnknownAttack(AuditError):
    """No attack is registered under this name."""


class PhaseMismatch(AuditError):
    """Two results that should be about the same probes are not."""


class ReportInvalid(AuditError):
    """A report does not follow the schema, or says something its own numbers do not."""


class ReportUnknown(ReportInvalid):
    """A report names a schema version that this build does not know: whether it is valid cannot be said."""


class KeyProblem(AuditError):
    """A signing key is missing, expired or unreadable; the message says what to do."""


class CertificateInvalid(AuditError):
    """A certificate or signed tree head does not hold; the message says at which check."""


class AttackImpossible(AuditError):
    """The target does not offer what the attack needs (open weights, its state)."""


class TranscriptTampered(AuditError):
    """A record of samples does not carry the digests that its own lines give, or is of another audit."""


class AnotherAudit(TranscriptTampered):
    """The samples that are here were drawn for something else: other facts, seed, settings or target."""


class AuditCancelled(AuditError):
    """The audit was told to stop; what was sampled so far is kept."""


class FilesUnusable(AuditError):
    """A file of an audit cannot be written or read: no room, no right to. What was sampled so far is kept."""


class PhrasingsUnreadable(AuditError):
    """A file of the user's own phrasings is missing, or not in a form that can be read."""
