"""JSON without `json`: it reads what that reads, and refuses what that refuses."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as some

from teleport.base import lean_json

VALUES = some.recursive(
    some.none() | some.booleans() | some.integers() | some.floats(allow_nan=False) | some.text(),
    lambda inner: some.lists(inner) | some.dictionaries(some.text(), inner),
    max_leaves=10,
)


@given(VALUES, some.sampled_from(["", " ", "\n\t \r"]))
def test_what_json_writes_is_read(value, blanks):
    text = blanks + json.dumps(value, ensure_ascii=bool(blanks)) + blanks
    assert lean_json.loads(text) == json.loads(text) == value


@given(some.text(alphabet='{}[]",:0123456789.eE+- \\utfnalserNI', max_size=12))
def test_the_same_is_refused(text):
    try:
        expected = json.loads(text)
    except ValueError:
        with pytest.raises(ValueError, match=r"."):
            lean_json.loads(text)
    else:
        assert repr(lean_json.loads(text)) == repr(expected)


@pytest.mark.parametrize("text", ["", " ", "{", '{"a": 1} x', "1 2", "\N{NO-BREAK SPACE}1", '"a\nb"', "tru"])
def test_what_is_no_json(text):
    with pytest.raises(ValueError, match=r"."):
        lean_json.loads(text)


def test_what_is_too_deep():
    with pytest.raises(RecursionError):
        lean_json.loads("[" * 100_000)


def test_without_the_half_in_c():
    code = (
        f"import sys; sys.path[:0] = {sys.path!r}; sys.modules['_json'] = None\n"
        "from teleport.base import lean_json; print(lean_json.loads(' {\"a\": [1, null]} '))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "{'a': [1, None]}\n"
