"""Pages come from templates that nothing else loads; values are escaped and must be there."""

from __future__ import annotations

import subprocess
import sys

import jinja2
import pytest

from teleport.web import pages


def test_values_are_escaped() -> None:
    text = pages.page("front.html", {"cluster": "<b>", "public_address": "proxy.example.com:443"})
    assert "&lt;b&gt;" in text
    assert "<b>" not in text


def test_a_missing_value_is_no_empty_one() -> None:
    with pytest.raises(jinja2.UndefinedError):
        pages.page("front.html", {})


def test_the_files_beside_them() -> None:
    assert "{" in pages.asset("app.css")
    assert pages.asset("icon.svg").startswith("<svg")


def test_the_library_waits_for_the_first_page() -> None:
    program = "import sys, teleport.web.app as app; print('jinja2' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
