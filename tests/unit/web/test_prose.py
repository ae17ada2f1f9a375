"""Errors as sentences."""

import pytest

from teleport.web.prose import sentence


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("this link is not valid", "This link is not valid."),
        ("is it?", "Is it?"),
        ("run `tctl users reset <name>` again", "Run <code>tctl users reset &lt;name&gt;</code> again."),
        ("ask for `tctl users reset`", "Ask for <code>tctl users reset</code>"),
        ("`tsh login` is too old", "<code>tsh login</code> is too old."),
        ("one ` alone", "One ` alone."),
        ('<b>" & `<i>`', "&lt;b&gt;&#34; &amp; <code>&lt;i&gt;</code>"),
        ("", "."),
    ],
)
def test_sentences(text, shown):
    assert sentence(text) == shown


def test_headings_have_no_full_stop():
    assert sentence("there is no such page", end="") == "There is no such page"
