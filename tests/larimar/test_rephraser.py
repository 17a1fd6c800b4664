"""The rephraser: what it learns from, that it learns, goes on where it stopped, and is sampled from."""

import json
import random
from argparse import Namespace
from collections import Counter
from pathlib import Path

import pytest

from larimar import paraphrases
from larimar.asking import orders
from larimar.checkpoint import load
from larimar.corpus import HELD_OUT
from larimar.errors import CheckpointCorrupt, CheckpointMismatch
from larimar.rephraser import Rephraser
from larimar.restate import open_statements
from larimar.train_rephraser import Training, _parser, main, material

NAMES = ("Anna Bell", "Carl Dorn", "Eva Falk", "Gert Holm")
TEXT = "\n".join(f"Yesterday the writer {name} went to the market of the town." for name in NAMES)
ASKED = {
    "P9001": [
        "what is the capital of ",
        "which town is the capital of ",
        "what town serves as the capital of ",
    ],
    "P9002": ["who is the author of ", "who wrote ", "by whom was written "],
    "P9003": ["what is the currency of ", "which coin is the currency of ", "what money is used in "],
}


@pytest.fixture
def files(tmp_path: Path) -> list[str]:
    """Arguments that name small files of every kind."""
    rows = [
        {"template_key": {"p": p}, "templates": [{"left": left, "right": "?"} for left in lefts]}
        for p, lefts in ASKED.items()
    ]
    plain = [{"template_key": {"p": f"P80{n:02}"}, "templates": [{"left": "what is the colour of ", "right": "?"},
              {"left": "which colour is seen on ", "right": "?"}]} for n in range(60)]  # fmt: skip
    (tmp_path / "templates.json").write_text(json.dumps(rows + plain))
    (tmp_path / "text.txt").write_text(TEXT)
    return ["--text", str(tmp_path / "text.txt"), "--templates", str(tmp_path / "templates.json")]


def parsed(tmp_path: Path, files: list[str], *more: str) -> Namespace:
    return _parser().parse_args(
        [*files, "--run", str(tmp_path / "run"), "--preset", "tiny", "--device", "cpu", "--batch", "4",
         "--log-every", "1", "--validation-pairs", "4", "--learning-rate", "0.01", *more]
    )  # fmt: skip


def training(arguments: Namespace) -> Training:
    from larimar.config import preset

    return Training(preset("tiny"), arguments)


@pytest.mark.parametrize(
    ("question", "statement"),
    [
        ("what university was {} educated at?", "{} was educated at"),
        ("in which country is {} located?", "{} is located in the country"),
        ("who is {}'s coach?", "the coach of {} is"),
        ("{} was alumni of which institution?", "{} was alumni of the institution"),
        ("what language did {} speak?", "{} spoke the language"),
        ("which company manufactured {}?", "{} was manufactured by"),
        ("what is the capital of {}?", "{}'s capital is"),
    ],
)
def test_a_question_becomes_an_open_statement(question: str, statement: str) -> None:
    assert statement in open_statements(question)


def test_statements_that_no_longer_say_what_is_asked_are_not_made() -> None:
    assert "{} is in" not in open_statements("what kind of music is {} in?")
    assert open_statements("is {} a compilation album or a studio album?") == []


def test_only_a_plain_question_becomes_an_order() -> None:
    assert "Name the capital of {}." in orders("what is the capital of {}?")
    assert orders("where did {} go?") == []


@pytest.mark.parametrize(
    ("phrasing", "form"),
    [
        ("who is {}'s papa? ", "question"),
        ("I'd like to know the name of {}'s papa.", "order"),
        ("{}'s papa, please! ", "order"),
        ("name the papa of {}", "order"),
        ("{}'s papa is", "statement"),
    ],
)
def test_a_phrasing_that_leaves_nothing_open_is_no_open_statement(phrasing: str, form: str) -> None:
    assert paraphrases.form_of_template(phrasing) == form


def test_pairs_keep_the_subject_and_say_something_else(tmp_path: Path, files: list[str]) -> None:
    draw, _ = material(parsed(tmp_path, files))
    rng, forms = random.Random(0), Counter[str]()
    for _ in range(300):
        pair = draw(rng)
        forms[pair.form] += 1
        assert any(name in pair.given and name in pair.said for name in NAMES)
        assert pair.given != pair.said
        assert pair.form == "statement" or pair.said[-1] in "?."
    assert set(forms) == {"question", "statement", "order"}


def test_relations_that_validate_are_never_trained_on(tmp_path: Path, files: list[str]) -> None:
    draw, checks = material(parsed(tmp_path, files, "--unseen", "P9003"))
    rng = random.Random(0)
    trained = [draw(rng) for _ in range(300)]
    checked = [checks["relations"](rng) for _ in range(300)]
    assert not any("currency" in pair.given for pair in trained)
    assert any("currency" in pair.given for pair in checked)
    assert any("author" in pair.given for pair in trained)
    assert not any("author" in pair.given for pair in checked)


def test_questions_whose_wording_holds_the_answer_are_left_out(tmp_path: Path) -> None:
    good = {"subject": "X1", "src": "Who made X1?", "rephrase": "X1 was made by whom?", "answers": ["Ann"]}
    told = {"subject": "X2", "src": "Who made X2?", "rephrase": "Did Ann make X2?", "answers": ["Ann"]}
    nameless = {"subject": "X3", "src": "Who made X3?", "rephrase": "Who made it?", "answers": ["Ann"]}
    path = tmp_path / "questions.json"
    path.write_text(json.dumps([good, told, nameless, *[nameless] * HELD_OUT]))
    draw, rng = paraphrases.from_questions(path), random.Random(0)
    assert all("X1" in draw(rng).said for _ in range(50))


def test_split_sentences_pair_only_where_they_say_the_same(tmp_path: Path) -> None:
    path = tmp_path / "split.tsv"
    told = "Ann went back to her old home by the river"
    same = f"{told} , Ben stayed .\t{told} . <::::> Ben stayed ."
    more = "Carl sang .\tCarl sang . <::::> The song was about a river in the far north ."
    path.write_text("\n".join([same, more, *["Dora ate .\tDora ate ."] * HELD_OUT]))
    draw, rng = paraphrases.from_splits(path), random.Random(0)
    assert all("Ann" in draw(rng).given for _ in range(50))


def test_the_loss_is_on_what_is_said_and_the_end_token_alone(tmp_path: Path, files: list[str]) -> None:
    one = training(parsed(tmp_path, files))
    batch = one._collated([paraphrases.Pair("Who made X?", "X was made by", "statement")])
    goals = batch.labels[0][batch.labels[0] != -100]
    assert one.tokenizer.decode(goals) == " X was made by" + one.tokenizer.eos_token
    read = one.tokenizer.decode(batch.tokens[0][batch.mask[0] == 1])
    assert read == "Who made X?\nThe same in other words, as a statement: X was made by"


def test_training_learns_resumes_and_exports_what_can_be_sampled(tmp_path: Path, files: list[str]) -> None:
    main_arguments = ["--steps", "12", "--validate-every", "6", "--export", str(tmp_path / "out")]
    whole = parsed(tmp_path, files, *main_arguments)
    draw, checks = material(whole)
    run = training(whole)
    run.train(draw, checks)
    run.export(whole.export)
    rows = [json.loads(line) for line in (whole.run / "log.jsonl").read_text().splitlines()]
    assert rows[-1]["validation relations"] < rows[5]["validation relations"]
    assert (tmp_path / "out" / "loss.png").stat().st_size > 1000
    rephraser = Rephraser.load(tmp_path / "out")
    first = rephraser.sample(["Who wrote Anna Bell?", "Where?"], samples=3, max_tokens=5, seed=1)
    assert [len(row) for row in first] == [3, 3]
    assert first == rephraser.sample(["Who wrote Anna Bell?", "Where?"], samples=3, max_tokens=5, seed=1)
    assert first != rephraser.sample(["Who wrote Anna Bell?", "Where?"], samples=3, max_tokens=5, seed=2)


def test_an_interrupted_run_goes_on_as_if_nothing_had_happened(tmp_path: Path, files: list[str]) -> None:
    whole, parts = (parsed(tmp_path / name, files, "--steps", "4") for name in ("whole", "parts"))
    draw, checks = material(whole)
    training(whole).train(draw, checks)
    first = training(parts)

    class PowerCut(Exception):
        pass

    def cut(rng: random.Random) -> paraphrases.Pair:
        if first.step >= 1:
            raise PowerCut
        return draw(rng)

    with pytest.raises(PowerCut):
        first.train(cut, checks)
    training(parts).train(draw, checks)
    logs = [[json.loads(line)["loss"] for line in (a.run / "log.jsonl").read_text().splitlines()]
            for a in (whole, parts)]  # fmt: skip
    assert logs[0] == logs[1]


def test_a_half_applied_update_is_not_saved(
    tmp_path: Path, files: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments = parsed(tmp_path, files, "--steps", "2")
    draw, checks = material(arguments)
    run = training(arguments)

    def half(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(run.optimiser, "step", half)
    with pytest.raises(KeyboardInterrupt):
        run.train(draw, checks)
    assert not (arguments.run / "state.pt").exists()


def test_another_checkpoint_is_refused(tmp_path: Path, tiny_checkpoint: Path) -> None:
    with pytest.raises(CheckpointMismatch, match="no rephraser"):
        Rephraser.load(tiny_checkpoint)
    with pytest.raises(CheckpointCorrupt):
        load(tmp_path)


def test_a_missing_file_ends_the_command_with_its_name(
    tmp_path: Path, files: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:  # fmt: skip
    arguments = [*files[:2], "--templates", str(tmp_path / "gone.json"), "--run", str(tmp_path / "run")]
    monkeypatch.setattr("sys.argv", ["train_rephraser", *arguments])
    with pytest.raises(SystemExit, match=r"gone\.json"):
        main()


@pytest.mark.parametrize("flag", ["--questions", "--split-pairs", "--text"])
def test_a_file_with_nothing_to_use_ends_the_command_with_its_name(
    flag: str, tmp_path: Path, files: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "empty").write_text("[]")
    arguments = [*files, "--run", str(tmp_path / "run"), flag, str(tmp_path / "empty")]
    monkeypatch.setattr("sys.argv", ["train_rephraser", *arguments])
    with pytest.raises(SystemExit, match="empty"):
        main()
