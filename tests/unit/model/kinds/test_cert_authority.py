from __future__ import annotations

from typing import Any

import pytest

from teleport.base.errors import BadParameter
from teleport.model import resource as kinds
from teleport.model.kinds.cert_authority import fingerprint
from tests.unit.model.samples import CERT, SAMPLES, SSH_KEY, sample


def code(document: dict[str, Any]) -> str:
    with pytest.raises(BadParameter) as caught:
        kinds.load(document)
    return caught.value.code


def test_name_and_sub_kind_repeat_the_spec() -> None:
    assert code({**SAMPLES["cert_authority"], "sub_kind": "user"}) == "KIND-CA-NAME"
    assert code({**SAMPLES["cert_authority"], "metadata": {"name": "other"}}) == "KIND-CA-NAME"
    assert code(sample("cert_authority", type="hosts")) == "KIND-FIELD"
    assert code(sample("cert_authority", cluster_name="a b")) == "KIND-NAME"


@pytest.mark.parametrize("secret", ["private_key", "key", "private_key_type"])
def test_there_is_no_place_for_a_private_key(secret: str) -> None:
    for keys in ({"ssh": [{"public_key": SSH_KEY, secret: "x"}]}, {"tls": [{"cert": CERT, secret: "x"}]}):
        assert code(sample("cert_authority", active_keys=keys)) == "KIND-FIELD"


@pytest.mark.parametrize(
    "line",
    ["", "ssh-ed25519", "ssh-ed25519 !!!", "ssh-rsa " + SSH_KEY.split()[1], SSH_KEY + "\n" + SSH_KEY, "a b c",
     "ssh-ed25519  " + SSH_KEY.split()[1], SSH_KEY + "x" * 17000, "cert-authority " + SSH_KEY],
)  # fmt: skip
def test_what_is_no_ssh_key(line: str) -> None:
    assert code(sample("cert_authority", active_keys={"ssh": [{"public_key": line}]})) == "KIND-CA-KEY"


@pytest.mark.parametrize("pem", ["", "x", CERT + CERT, CERT.replace("CERTIFICATE", "PRIVATE KEY"), "x" + CERT])
def test_what_is_no_certificate(pem: str) -> None:
    assert code(sample("cert_authority", additional_trusted_keys={"tls": [{"cert": pem}]})) == "KIND-CA-KEY"


def test_all_keys_are_trusted() -> None:
    ca: Any = kinds.load(
        sample("cert_authority", additional_trusted_keys={"ssh": [{"public_key": SSH_KEY}], "tls": [{"cert": CERT}]})
    )
    assert len(ca.trusted_ssh()) == len(ca.trusted_tls()) == 2
    assert ca.trusted_ssh()[0] == ca.spec.active_keys.ssh[0]


def test_fingerprint_as_ssh_keygen_shows_it() -> None:
    assert fingerprint(SSH_KEY) == "SHA256:ZkAslGjFiUHdGf/WUL8rQvkib4PTvQatUV0OUQSncCA"


def test_people_may_remove_it_and_nothing_else() -> None:
    info = kinds.find("cert_authority")
    assert info.writable == {"rm"}
    assert info.by_sub_kind
    assert info.messages["delete"].format(sub_kind="host", name="x") == "cert_authority 'host/x' has been deleted"
