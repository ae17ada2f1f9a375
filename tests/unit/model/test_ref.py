from __future__ import annotations

import pytest

from teleport.base.errors import BadParameter
from teleport.model import resource as kinds
from teleport.model.ref import ref, refs

UUID = "5cee949f-5203-4f3b-9805-dac35d798a16"


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["role/dev"], ["role/dev"]),
        (["ROLES"], ["role"]),
        (["role", "dev"], ["role/dev"]),
        (["cas", "host", "x"], ["cert_authority/host/x"]),
        (["cas/host"], ["cert_authority/host"]),
        (["cert_authority/host/x"], ["cert_authority/host/x"]),
        (["roles,users/bob"], ["role", "user/bob"]),
        (["roles/a", "users/b"], ["role/a", "user/b"]),
        ([r"user/a\,b,lock"], [r"user/a\,b", "lock"]),
        ([f"bot_instance/example/{UUID}"], [f"bot_instance/example/{UUID}"]),
        (["bot_instance", "example", UUID], [f"bot_instance/example/{UUID}"]),
        ([f"bot_instances/{UUID}"], [f"bot_instance/{UUID}"]),
        (["bot_instance/example"], ["bot_instance/example"]),
        (["cluster_name"], ["cluster_name/cluster-name"]),
    ],
)
def test_references(words: list[str], expected: list[str]) -> None:
    found = refs(words)
    assert [str(each) for each in found] == expected
    assert refs(expected if len(expected) == 1 else [",".join(expected)]) == found


def test_all_is_every_kind() -> None:
    assert [each.info.name for each in refs(["All"])] == [info.name for info in kinds.every()]


@pytest.mark.parametrize(
    "words",
    [[], ["role/"], ["/a"], ["user/a/b"], ["cas/a/b/c"], ["bot_instance/a/b/c"], ["role,,user"], [""], ["role,"] * 600],
)
def test_what_is_no_reference(words: list[str]) -> None:
    with pytest.raises(BadParameter) as caught:
        refs(words)
    assert caught.value.code == "KIND-REF"


def test_an_unknown_kind() -> None:
    with pytest.raises(BadParameter) as caught:
        refs(["roel/a"])
    assert caught.value.code == "KIND-UNKNOWN"


def test_one_reference() -> None:
    assert ref("lock/a").name == "a"
    with pytest.raises(BadParameter):
        ref("lock,user")
