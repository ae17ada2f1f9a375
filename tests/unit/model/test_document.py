from __future__ import annotations

import pytest

from teleport.base import yaml
from teleport.base.errors import BadParameter, NotSupported, TeleportError
from teleport.model.document import dump_yaml, read, write


def failure(text: str) -> TeleportError:
    with pytest.raises(TeleportError) as caught:
        read(text, "f.yaml")
    return caught.value


@pytest.mark.parametrize("text", ["", "---\n---\n", "# nothing\n", "\n\n"])
def test_nothing_is_an_error(text: str) -> None:
    error = failure(text)
    assert (error.code, str(error)) == ("KIND-EMPTY", "no resources found, empty input?")


def test_all_unknown_keys_of_all_documents_are_told_with_their_places() -> None:
    text = "kind: lock\nspec:\n  target: {usr: a}\n  mesage: x\n---\nkind: user\nmetadata:\n  nam: b\n"
    error = failure(text)
    assert error.code == "CFG-YAML-FIELDS"
    assert str(error).splitlines() == [
        "f.yaml:3:12: spec.target.usr: unknown key, did you mean 'user'?",
        "f.yaml:4:3: spec.mesage: unknown key, did you mean 'message'?",
        "f.yaml:8:3: metadata.nam: unknown key, did you mean 'name'?",
    ]


@pytest.mark.parametrize(
    ("text", "code", "place"),
    [
        ("kind: usr\n", "KIND-UNKNOWN", "f.yaml:1:1"),
        ("spec: {}\n", "KIND-MISSING", "f.yaml:1:1"),
        ("- 1\n", "KIND-NOT-A-MAP", "f.yaml:1:1"),
        ("kind: [1]\n", "KIND-MISSING", "f.yaml:1:1"),
        ("kind: lock\nversion: v1\n", "KIND-VERSION", "f.yaml:2:1"),
        ("kind: lock\nversion: [v2]\n", "KIND-VERSION", "f.yaml:2:1"),
        ("kind: user\nmetadata:\n  name: a/b\n", "KIND-NAME", "f.yaml:3:3"),
        ("kind: user\nmetadata:\n  name:\n", "KIND-NAME", "f.yaml:3:3"),
        ("kind: user\nmetadata: {name: a}\nspec:\n  oidc_identities: [x]\n", "KIND-FIELD-NOT-SUPPORTED", "f.yaml:4:3"),
        ("kind: role\nmetadata: {name: a}\nspec:\n  options:\n    cert_format: oldssh\n", "KIND-FIELD-NOT-SUPPORTED",
         "f.yaml:5:5"),
        ("kind: token\nmetadata: {name: a}\nspec:\n  roles: [node]\n  join_method: oracle\n",
         "KIND-VALUE-NOT-SUPPORTED", "f.yaml:5:3"),
    ],
)  # fmt: skip
def test_a_single_fault_keeps_its_code_and_says_where(text: str, code: str, place: str) -> None:
    error = failure(text)
    assert (error.code, error.place) == (code, place)
    assert str(error) == error.what
    assert error.what.startswith(f"{place}: ")


def test_a_wrong_type_is_told_with_its_place() -> None:
    assert str(failure("kind: user\nmetadata: {name: a}\nspec:\n  roles: x\n")).startswith(
        "f.yaml:4:3: spec.roles: Expected"
    )
    assert str(failure("kind: user\nmetadata: {name: a, expires: 2026-01-01}\n")).startswith(
        "f.yaml:2:21: metadata.expires:"
    )
    assert str(failure("kind: user\nmetadata: {name: a, expires: 2026-01-01T00:00:00}\n")).startswith("f.yaml:2:21:")


def test_several_faults_are_one_error() -> None:
    error = failure("kind: usr\n---\nkind: token\nmetadata: {name: a}\n---\nkind: lock\nspec: {x: 1}\n")
    assert isinstance(error, BadParameter)
    assert [line.split(": ")[0] for line in str(error).splitlines()] == [
        "f.yaml:1:1",
        "f.yaml:3:1",
        "f.yaml:7:1",
        "f.yaml:7:8",
    ]


def test_the_class_of_a_fault_is_kept() -> None:
    assert isinstance(failure("kind: node\nmetadata: {name: a}\nsub_kind: openssh-ec2-ice\n"), NotSupported)


def test_keys_without_value_say_nothing_and_unknown_ones_are_told_all_the_same() -> None:
    (user,) = read("kind: user\nmetadata: {name: a, labels: }\nspec: {traits: {logins: }, roles: , status: }\n", "f")
    assert user == read("kind: user\nmetadata: {name: a}\n", "f")[0]
    assert "spec.role: unknown key" in str(failure("kind: user\nmetadata: {name: a}\nspec: {role: , roles: }\n"))


def test_documents_of_other_servers_load() -> None:
    text = (
        "kind: user\nmetadata: {name: a, id: 165}\nspec:\n"
        "  created_by: {time: '0001-01-01T00:00:00Z', user: {name: x}}\n"
        "  expires: '0001-01-01T00:00:00Z'\n  status: {is_locked: false, lock_expires: '0001-01-01T00:00:00Z'}\n"
    )
    (user,) = read(text, "f")
    assert user.spec.expires is None
    assert user.spec.status.lock_expires is None


def test_text_that_could_be_something_else_is_quoted() -> None:
    text = 'kind: user\nmetadata: {name: "yes"}\nspec: {traits: {a: ["1", "off", "", "~", "22:22", "2026-01-01"]}}\n'
    written = dump_yaml(read(text, "f"))
    assert 'name: "yes"' in written
    assert '- "2026-01-01"' in written
    assert read(written, "g") == read(text, "f")


def test_documents_are_separated_and_lines_kept() -> None:
    lock = read('kind: lock\nspec: {target: {user: a}, message: "one\\ntwo"}\n', "f")[0]
    written = dump_yaml([lock, lock])
    assert written.count("---\n") == 1
    assert "message: |-\n    one\n    two\n" in written
    assert dump_yaml([]) == ""


@pytest.mark.parametrize("text", ["\x85", "a\u2028b", "a\u2029\nb", "a\nb", "", "off", "1"])
def test_text_is_written_so_that_it_reads_back(text: str) -> None:
    (document,) = yaml.documents(write({"b": text, "a": [text]}), "f")
    assert document.data == {"b": text, "a": [text]}
    assert [*document.data] == ["b", "a"]
