"""The audit: attacks a language model to see whether it still tells a fact, and says what that shows.

A room of its own: it knows a model only through the small protocol in `audit.target`, imports no torch and no
database, and is useful to people who do not run our memory at all. One audit, in order:

    facts.py       what must not be told, and which facts cannot be audited honestly
    forms.py       says a prompt in other words by rule     frames.py   the fixed wordings around it
    rephrase.py    where rephrasings come from              attacks/    turn a fact into probes; a registry
    run.py         asks the target, judges, counts          detect.py   judges one output (words.py, dates.py)
    derived.py     words that tell an answer as well        telling.py  what of an answer tells it
    journal.py     the samples as they come, to resume      transcript.py  the same in memory
    neighbours.py  prompts that must not fall silent        results.py  the counts, without any text
    statistics.py  exact bounds (clusters.py, eprocess.py)  verdict.py  pass, fail or inconclusive, and why
    report.py      the JSON record                          page.py     the page for people (picture.py,
    wording.py)

And what makes a report hold up: statement.py (what is stated), certificate.py (signed, with its place in the log),
envelope.py and keys.py (Ed25519 in DSSE), log.py and merkle.py (the event log's proofs), verification.py (says what
is and is not shown), verify_alone.py (the same without this package).
"""
