"""pki.ssh, for any input: what is written is read; reading raises nothing but its own error."""

from __future__ import annotations

import unicodedata

from hypothesis import given, settings
from hypothesis import strategies as st

from teleport.base.entropy import SeededEntropy
from teleport.base.errors import BadParameter
from teleport.pki import keys, ssh
from teleport.pki.ssh_wire import string

CA = keys.make_ed25519(SeededEntropy(4))
KEY = keys.ssh_blob(keys.make_p256(SeededEntropy(5)).public_key())


def _principal_like(text: str) -> bool:
    try:
        ssh.check_principal(text)
    except BadParameter:
        return False
    return True


_TEXT = st.text(st.characters(exclude_categories=("Cs", "Cc")), max_size=20)
_PRINCIPALS = st.lists(
    _TEXT.map(lambda text: unicodedata.normalize("NFC", text)).filter(_principal_like), unique=True, max_size=4
)
_OPTIONS = st.dictionaries(
    _TEXT.filter(bool), st.text(st.characters(exclude_categories=("Cs",)), max_size=30), max_size=5
)

BODIES = st.builds(
    ssh.Body, key=st.just(KEY), nonce=st.binary(min_size=16, max_size=64), serial=st.integers(0, 2**64 - 1),
    type=st.sampled_from(["user", "host"]), key_id=_TEXT, principals=_PRINCIPALS.map(tuple),
    valid_after=st.integers(0, 2**63), valid_before=st.integers(2**63 + 1, 2**64 - 1), critical_options=_OPTIONS,
    extensions=_OPTIONS, authority=st.just(keys.ssh_blob(CA.public_key())),
)  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(BODIES)
def test_parse_inverts_encode(body: ssh.Body) -> None:
    assert ssh.parse_tbs(ssh.encode_tbs(body)) == body


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=6))
def test_a_principal_is_never_two(text: str) -> None:
    """However a list of principals is joined, an accepted one cannot be taken for several."""
    if _principal_like(text):
        assert len(text.split(",")) == len(text.split()) == len(text.splitlines()) == 1


_SAMPLE_TBS = ssh.encode_tbs(
    ssh.Body(
        key=KEY, nonce=bytes(32), serial=1, type="user", key_id="a", principals=("root", "b"), valid_after=1,
        valid_before=2, critical_options={"source-address": "::1/128"}, extensions={"permit-pty": "", "x": "y"},
        authority=keys.ssh_blob(CA.public_key()),
    )
)  # fmt: skip
SAMPLE = _SAMPLE_TBS + string(keys.ssh_signature(CA.public_key(), keys.sign(CA, _SAMPLE_TBS)))


@settings(max_examples=400, deadline=None)
@given(st.lists(st.tuples(st.integers(0, len(SAMPLE) - 1), st.binary(max_size=5), st.integers(0, 5)), max_size=4))
def test_mutated_certificates_raise_only_their_own_error(edits: list[tuple[int, bytes, int]]) -> None:
    blob = SAMPLE
    for at, insert, drop in edits:
        blob = blob[:at] + insert + blob[at + drop :]
    try:
        certificate = ssh.parse(blob)
    except BadParameter as error:
        assert error.code == "PKI-SSH-CERT"  # noqa: PT017 - nothing else may come
    else:
        assert ssh.verify(certificate) == (blob == SAMPLE)
        assert ssh.encode_tbs(ssh.parse_tbs(certificate.tbs)) == certificate.tbs
