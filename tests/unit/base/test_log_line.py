"""Levels of libraries."""

import io
import logging

from teleport.base.clock import SystemClock
from teleport.base.log_line import EXTRA_FIELDS, LineHandler


def emitted(level: int, name: str = "teleport") -> str:
    out = io.StringIO()
    handler = LineHandler(out, "text", EXTRA_FIELDS, SystemClock())
    handler.emit(logging.LogRecord(name, level, "/x/y/z.py", 7, "message", (), None))
    return out.getvalue()


def test_a_level_between_ours_counts_as_the_one_below():
    assert " INFO " in emitted(25)
    assert " TRAC " in emitted(1)


def test_caller_is_the_last_folder_and_file():
    assert emitted(20).endswith("message y/z.py:7\n")


def test_root_of_our_tree_is_its_own_component():
    assert "[TELEPORT]  " in emitted(20)
