"""`unwrite audit`: attack any model with the facts of a CSV file.

Exit status: 0 pass, 1 fail, 3 inconclusive or not finished, 2 misuse.

The file has a header line with the columns `prompt` and `answer`, and may have `subject`, `aliases` (separated by
semicolons), `other_answers` (likewise) and `id`.
"""

from __future__ import annotations

import csv
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from audit.facts import AuditFact

STATUS = {"pass": 0, "fail": 1, "inconclusive": 3}
NOT_FINISHED = 3
REPHRASERS = "templates, model, mixed, model:DIR, mixed:DIR, list:FILE or hf:ID_OR_PATH"
COLUMNS = {"prompt", "answer", "subject", "aliases", "other_answers", "id"}


def _list_attacks(context: click.Context, _: click.Parameter, names: str) -> str:
    """`--attack list` shows the attacks and ends: it needs neither target nor facts."""
    if names.strip() == "list" and not context.resilient_parsing:
        from audit.attacks import registered

        for name, attack in sorted(registered().items()):
            click.echo(f"{name:18} {attack.threat:18} {attack.goal}")
        context.exit()
    return names


@click.command("audit")
@click.option("--target", required=True, help="larimar, hf:ID_OR_PATH, or openai:URL.")
@click.option("--facts", "file", type=click.Path(exists=True, dir_okay=False, path_type=Path), required=True,
              help="CSV with the columns prompt, answer and perhaps subject, aliases.")  # fmt: skip
@click.option("--attack", "attacks", default="rephrase", show_default=True,
              is_eager=True, callback=_list_attacks,
              help="Names separated by commas, or all (`--attack list` shows them).")  # fmt: skip
@click.option(
    "--budget", type=click.IntRange(1), default=20, show_default=True, help="Samples a fact and attack."
)
@click.option("--phrasings", type=click.IntRange(1), show_default="4, or more where the facts are few",
              help="Wordings a fact that `rephrase` asks in, the budget spread over them.")  # fmt: skip
@click.option("--out", type=click.Path(file_okay=False, writable=True, path_type=Path),
              default=Path("audit-report"),
              show_default=True, help="Where the report and the samples go.")  # fmt: skip
@click.option("--kind", type=click.Choice(["censor", "forget"]), default="censor", show_default=True,
              help="What is done with the facts before the second attack (only for larimar).")  # fmt: skip
@click.option(
    "--control", default="", help="A target that does tell the facts: the model before its unlearning."
)
@click.option(
    "--twin", default="", help="A target that never knew the facts, told beside: how often is guessed?"
)
@click.option("--threshold", type=click.FloatRange(0, 1, min_open=True, max_open=True), default=0.15,
              show_default=True,
              help="Largest upper bound that passes.")  # fmt: skip
@click.option("--seed", type=click.IntRange(0, 2**32 - 1), default=0, show_default=True)
@click.option("--max-tokens", type=click.IntRange(1), default=16, show_default=True)
@click.option("--model", default="", help="The model's name at the endpoint (only for openai).")
@click.option("--api-key-env", default="OPENAI_API_KEY", show_default=True, help="Where the key is.")
@click.option(
    "--checkpoint", type=click.Path(exists=True, path_type=Path), help="A trained reader (larimar)."
)
@click.option("--device", default="auto", show_default=True)
@click.option("--rephraser", default="mixed", show_default=True,
              help=f"Whose rephrasings are asked: {REPHRASERS}.")  # fmt: skip
def audit(file: Path, attacks: str, threshold: float, api_key_env: str, kind: str, **given: Any) -> None:
    """Attack a model to see whether it tells the facts of a file. Ctrl-C: the same command goes on later."""
    from audit.policy import Policy
    from workers.standalone import Plan, same_target

    names = tuple(name.strip() for name in attacks.split(",") if name.strip())
    _check_names(names)
    _check_rephraser(given["rephraser"])
    guarded = given["target"] == "larimar"
    _check_targets([given["target"], given["control"], given["twin"]], given["model"])
    if guarded and (given["control"] or given["twin"]):
        raise click.UsageError("larimar has its own control and twin; leave out --control and --twin")
    for option in ("control", "twin"):
        if given[option] and same_target(given["target"], given[option]):
            raise click.UsageError(f"--{option} is the target itself, so it shows nothing")
    plan = Plan(
        facts=read_facts(file), attacks=names, policy=Policy(threshold=threshold), key_variable=api_key_env,
        kind=kind if guarded else "check", **given,  # type: ignore[arg-type]
    )  # fmt: skip
    _make_folder(plan.out)
    raise SystemExit(_run(plan))


def _run(plan: Any) -> int:
    from tqdm import tqdm

    from workers.standalone import run

    bars: dict[str, Any] = {}

    def show(phase: str, done: int, total: int) -> None:
        if phase not in bars:
            bars[phase] = tqdm(total=total, desc=phase, unit="probe", leave=False)
        bars[phase].update(done - bars[phase].n)
        if done >= total:
            bars[phase].close()

    try:
        report = run(plan, show)
    except KeyboardInterrupt:
        click.echo("\nStopped. The samples are kept; the same command goes on from here.", err=True)
        return NOT_FINISHED
    except Exception as error:
        if not _is_for_people(error):
            raise
        click.echo(f"Error: {error}", err=True)
        return NOT_FINISHED
    click.echo(f"{report.verdict.upper()}  {report.headline}")
    click.echo(f"{plan.out / 'report.html'}  {plan.out / 'report.json'}  {plan.out / 'samples.jsonl'}")
    return STATUS[report.verdict]


def _make_folder(out: Path) -> None:
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise click.UsageError(f"--out {out} cannot be made: {error.strerror}") from None


def _is_for_people(error: Exception) -> bool:
    return any(kind.__name__ in ("AuditError", "LarimarError") for kind in type(error).__mro__)


def _check_targets(targets: list[str], model: str) -> None:
    first, *others = targets
    for target in (first, *filter(None, others)):
        if not re.fullmatch(r"hf:.+|openai:https?://.+", target) and (target != "larimar" or target != first):
            raise click.UsageError(
                "a target is larimar, hf:ID_OR_PATH or openai:URL (with http:// or https://)"
            )
        if target.startswith("openai:"):
            _check_endpoint(target.removeprefix("openai:"), model)


def _check_endpoint(url: str, model: str) -> None:
    from workers.endpoint import EndpointError, EndpointTarget

    try:
        EndpointTarget(url, model)
    except EndpointError as error:
        raise click.UsageError(str(error)) from None


def _check_rephraser(spec: str) -> None:
    from audit.errors import PhrasingsUnreadable
    from audit.phrasing_list import read_phrasings

    how, _, where = spec.partition(":")
    if spec not in ("templates", "model", "mixed") and not (
        how in ("model", "mixed", "list", "hf") and where
    ):
        raise click.UsageError(f"a rephraser is {REPHRASERS}")
    try:
        if how == "list":
            read_phrasings(Path(where))
    except PhrasingsUnreadable as error:
        raise click.UsageError(str(error)) from None


def _check_names(names: tuple[str, ...]) -> None:
    from audit.attacks import registered

    known = registered()
    unknown = [name for name in names if name not in known and names != ("all",)]
    if unknown or not names:
        there = ", ".join(sorted(known))
        raise click.UsageError(f"no attack is called {', '.join(unknown) or 'nothing'}; there are: {there}")


def read_facts(path: Path) -> list[AuditFact]:
    """The facts of a CSV file. Raises click.UsageError, naming the line and never what stands in it."""
    from audit.facts import AuditFact

    found: list[AuditFact] = []
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file, strict=True)
            _check_header(path, set(reader.fieldnames or ()))
            for row in reader:
                cells = {key: (row.get(key) or "").strip() for key in COLUMNS}
                if None in row or not cells["prompt"]:
                    raise click.UsageError(
                        f"{path}, line {reader.line_num}: no prompt, or more cells than columns"
                    )
                answers = [cells["answer"], *_several(cells["other_answers"])]
                found.append(
                    AuditFact(
                        id=cells["id"] or f"fact_{len(found) + 1:04d}",
                        prompt=cells["prompt"],
                        answers=tuple(answer for answer in answers if answer),
                        subject=cells["subject"],
                        aliases=_several(cells["aliases"]),
                    )
                )
    except (UnicodeDecodeError, csv.Error):
        raise click.UsageError(f"{path} is not a CSV file in UTF-8") from None
    if not found:
        raise click.UsageError(f"{path} holds no facts")
    if len({fact.id for fact in found}) < len(found):
        raise click.UsageError(f"{path}: the same id stands in two lines")
    return found


def _check_header(path: Path, columns: set[str]) -> None:
    if not {"prompt", "answer"} <= columns:
        raise click.UsageError(f"{path} needs a header line with the columns prompt and answer")
    if extra := columns - COLUMNS:
        raise click.UsageError(
            f"{path}: {len(extra)} unknown columns; known are {', '.join(sorted(COLUMNS))}"
        )


def _several(cell: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in cell.split(";") if part.strip())
