"""Nobody can forge a line of the log."""

import io
import json
import logging

from hypothesis import given, settings
from hypothesis import strategies as st

from teleport.base.clock import SystemClock
from teleport.base.log_line import EXTRA_FIELDS, LineHandler


def rendered(output: str, message: str, fields: dict[str, str]) -> str:
    out = io.StringIO()
    record = logging.LogRecord("teleport.A", 20, "/a/b.py", 1, "%s", (message,), None)
    record.fields = fields
    LineHandler(out, output, EXTRA_FIELDS, SystemClock()).emit(record)
    return out.getvalue()


@given(st.text(), st.dictionaries(st.text(max_size=10), st.text(), max_size=3))
@settings(max_examples=100, deadline=None)
def test_text_is_one_printable_line(message, fields):
    line = rendered("text", message, fields)
    assert line.endswith("\n")
    assert line[:-1].isprintable()


@given(st.text(), st.dictionaries(st.text(max_size=10), st.text(), max_size=3))
@settings(max_examples=100, deadline=None)
def test_json_is_one_line_and_keeps_what_was_said(message, fields):
    line = rendered("json", message, fields)
    assert line[:-1].isprintable()
    assert json.loads(line)["message"] == message
    assert json.loads(line)["level"] == "info"
