from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from teleport.base.errors import AccessDenied, BadParameter
from teleport.model import naming


@pytest.mark.parametrize(
    "name", ["alice", "alice@example.com", "Zoë", "日本", "ci runner 1", "a\\b", "x" * 1000, "..."[:0] + "a.b"]
)
def test_names(name: str) -> None:
    assert naming.name_problem(name) == ""
    naming.check_name("user", name)


@pytest.mark.parametrize(
    "name",
    ["", "a/b", "a,b", "a\nb", "a\0b", "a\tb", "a\x7fb", "a\u202eb", "a\u200bb", "a\u00a0b", "a\u2028b", "\ud800",
     " a", "a ", "-rf", ".", "..", "x" * 1001, "e\u0301", "\ufeffa"],
)  # fmt: skip
def test_what_no_name_may_be(name: str) -> None:
    with pytest.raises(BadParameter) as caught:
        naming.check_name("user", name)
    assert caught.value.code == "KIND-NAME"
    assert caught.value.what.isprintable()


@given(st.text(max_size=30))
def test_a_name_never_breaks_a_list_a_line_or_a_path(name: str) -> None:
    if not naming.name_problem(name):
        assert name.splitlines() == [name]
        assert name.split(",") == name.split("/") == [name]
        assert name not in (".", "..")


@pytest.mark.parametrize("name", ["example.com", "a", "Tele_1.example-2.sh"])
def test_cluster_names(name: str) -> None:
    naming.check_cluster_name(name)


@pytest.mark.parametrize("name", ["", ".a", "a.", "a..b", "a b", "a/b", "ü", "-a", "a" * 254, "a\n"])
def test_what_no_cluster_may_be_named(name: str) -> None:
    with pytest.raises(BadParameter) as caught:
        naming.check_cluster_name(name)
    assert caught.value.code == "KIND-NAME"


@pytest.mark.parametrize(
    ("key", "value"), [("env", "prod"), ("aws/Name", "ü x, y"), ("a.b_c:d*-", ""), ("teleport.internal/x", "1")]
)
def test_labels(key: str, value: str) -> None:
    naming.check_labels("node", {key: value})


@pytest.mark.parametrize(
    ("key", "value"),
    [("", "x"), ("a b", "x"), ("ä", "x"), ("a\n", "x"), ("k" * 257, "x"), ("a", "x" * 4097), ("a", "x\n")],
)
def test_what_no_label_may_be(key: str, value: str) -> None:
    with pytest.raises(BadParameter) as caught:
        naming.check_labels("node", {key: value})
    assert caught.value.code == "KIND-LABEL"


MARK = "teleport.internal/resource-type"


def test_reserved_labels_may_be_sent_back_as_read() -> None:
    naming.check_reserved("role", {MARK: "preset", "env": "dev"}, {MARK: "preset"})
    naming.check_reserved("role", {"env": "dev"}, {})


@pytest.mark.parametrize(("labels", "before"), [({MARK: "x"}, {}), ({}, {MARK: "x"}), ({MARK: "y"}, {MARK: "x"})])
def test_reserved_labels_are_set_by_the_cluster_alone(labels: dict[str, str], before: dict[str, str]) -> None:
    with pytest.raises(AccessDenied) as caught:
        naming.check_reserved("role", labels, before)
    assert caught.value.code == "KIND-LABEL-RESERVED"


def test_texts_may_have_several_lines_and_no_control_characters() -> None:
    naming.check_text("lock", "spec.message", "one\n\ttwo – ü")
    for text in ("\x1b[2J", "\0", "x" * 4097, "\u2028", "\r"):
        with pytest.raises(BadParameter) as caught:
            naming.check_text("lock", "spec.message", text)
        assert caught.value.code == "KIND-TEXT"


def test_the_only_namespace_is_default() -> None:
    with pytest.raises(BadParameter) as caught:
        naming.check_metadata("node", "n", "", {}, "other")
    assert caught.value.code == "KIND-NAMESPACE"
