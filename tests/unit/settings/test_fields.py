"""Options as fields between commas, with quotes where a value has commas of its own."""

from __future__ import annotations

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinyship.settings import fields

_TEXT = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1).filter(lambda text: text.strip() == text)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("a", ("a",)),
        ("id=npm,env=NPM_TOKEN", ("id=npm", "env=NPM_TOKEN")),
        (" id=a , src=b c ", ("id=a", "src=b c")),
        ('"dest=a,b",type=tar', ("dest=a,b", "type=tar")),
        ('type=tar,dest="a,b"', ("type=tar", "dest=a,b")),
        ('"say=""hi"""', ('say="hi"',)),
        ('say="""hi"""', ('say="hi"',)),
        ("a=b=c", ("a=b=c",)),
        ('a="b=c, d"', ("a=b=c, d",)),
    ],
)
def test_split(text: str, found: tuple[str, ...]) -> None:
    """Commas divide, quotes protect them, blanks around a field are nothing."""
    assert fields.split(text) == found


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "a field is empty"),
        ("a=1,", "a field is empty"),
        (",a=1", "a field is empty"),
        ("a=1,,b=2", "a field is empty"),
        ('a="s3cret', "a quote"),
        ('a=s3"cret"', "a quote"),
        ('"a=s3cret"x', "a quote"),
    ],
)
def test_what_is_no_option(text: str, words: str) -> None:
    """Empty fields and stray quotes are refused, without the text."""
    with pytest.raises(ValueError, match=words) as caught:
        fields.split(text)
    assert "s3cret" not in str(caught.value)


def test_pairs() -> None:
    """Each field is a key and a value; the value may be empty and may hold an equals sign."""
    assert fields.pairs("a=1, b = 2,c=,d=x=y") == {"a": "1", "b": " 2", "c": "", "d": "x=y"}


@pytest.mark.parametrize("text", ["s3cret", "a=1,s3cret", "=s3cret", "a=s3cret,a=s3cret"])
def test_what_is_no_pair(text: str) -> None:
    """A field without a key, and a key that stands there twice, are refused, without the value."""
    with pytest.raises(ValueError, match=r"key=value|twice") as caught:
        fields.pairs(text)
    assert "s3cret" not in str(caught.value)


@given(st.dictionaries(st.from_regex(r"[a-z]+", fullmatch=True), st.just("") | _TEXT, min_size=1))
def test_join_is_read_back(values: dict[str, str]) -> None:
    """Whatever the values hold, they come back as they were; and Python's own reader of CSV agrees."""
    text = fields.join(values)
    assert fields.pairs(text) == values
    (row,) = csv.reader(io.StringIO(text, newline=""))
    assert dict(field.split("=", 1) for field in row) == values
