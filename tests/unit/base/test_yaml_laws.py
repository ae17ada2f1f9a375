"""Any text is documents or BadParameter; what PyYAML writes reads back."""

import contextlib

import yaml as pyyaml
from hypothesis import given, settings
from hypothesis import strategies as st

from teleport.base import yaml
from teleport.base.errors import BadParameter

PIECES = st.sampled_from(
    ["a", "b: ", "- ", "? ", ": ", "\n", "  ", "[", "]", "{", "}", ",", "&x ", "*x", "<<: ", "!!int ", "!t ", "'", '"',
     "|\n", ">", "---\n", "...\n", "# ", "%YAML 1.1\n", "1:2", "0x", "~", "\t", "\\", "\x85", "\u2028", "@", "`"],
)  # fmt: skip


@given(st.one_of(st.text(max_size=60), st.lists(PIECES, max_size=25).map("".join)))
@settings(max_examples=400, deadline=None)
def test_arbitrary_text_never_raises_anything_else(text):
    with contextlib.suppress(BadParameter):
        for document in yaml.documents(text, "f"):
            assert document.where(("a", 0)).startswith("f:")


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**12), 10**12) | st.text(st.characters(codec="utf-8"), max_size=12),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text("abcdef", min_size=1), inner, max_size=4),
    max_leaves=12,
)


@given(VALUES.filter(lambda value: value is not None))
@settings(max_examples=200, deadline=None)
def test_what_is_written_reads_back(value):
    (document,) = yaml.documents(pyyaml.safe_dump(value), "f")
    assert document.data == value
