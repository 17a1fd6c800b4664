"""The user's own phrasings: two file forms, and errors that say where and not what."""

from pathlib import Path

import pytest

from audit.errors import PhrasingsUnreadable
from audit.phrasing_list import read_phrasings


def file(tmp_path: Path, text: str, name: str = "phrasings") -> Path:
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    return path


def test_json_and_csv_say_the_same(tmp_path: Path) -> None:
    wanted = {"f1": ["Who made X?", "By whom was X made?"], "Y is in": ["Where is Y?"]}
    as_json = '{"f1": ["Who made X?", "By whom was X made?", " "], "Y is in": ["Where is Y?"], "f3": []}'
    as_csv = "\ufeffid,prompt,phrasing\nf1,,Who made X?\nf1,,By whom was X made?\n,Y is in,Where is Y?\n"
    assert read_phrasings(file(tmp_path, as_json)) == wanted
    assert read_phrasings(file(tmp_path, as_csv)) == wanted


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "JSON object"), ("[1]", "JSON object"), ('{"secret": "x"}', "JSON object"),
        ('{"secret": [1]}', "JSON object"), ("{}", "no phrasings"), ("id,phrasing\n", "no phrasings"),
        ("", "header line"), ("id,text\nsecret,x\n", "header line"), ("phrasing\nsecret\n", "header line"),
        ("id,phrasing\nsecret,\n", "line 2"), ("id,phrasing\n,secret\n", "line 2"),
        ("id,phrasing\nsecret,x,y\n", "line 2"), ('id,phrasing\n"secret', "CSV"),
    ],
)  # fmt: skip
def test_a_broken_file_says_where_and_never_what(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(PhrasingsUnreadable, match=words) as caught:
        read_phrasings(file(tmp_path, text))
    assert "secret" not in str(caught.value)


def test_a_missing_file_and_another_encoding_are_named(tmp_path: Path) -> None:
    with pytest.raises(PhrasingsUnreadable, match="cannot be read"):
        read_phrasings(tmp_path / "gone")
    (tmp_path / "latin").write_bytes("id,phrasing\nf,Über\n".encode("latin-1"))
    with pytest.raises(PhrasingsUnreadable, match="UTF-8"):
        read_phrasings(tmp_path / "latin")
