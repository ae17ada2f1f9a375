"""pki.x509, for any input: reading raises nothing but its own error, and a change never verifies."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from teleport.base.errors import BadParameter
from teleport.pki import x509
from tests.unit.pki.test_x509 import CA, LEAF


@settings(max_examples=400, deadline=None)
@given(st.lists(st.tuples(st.integers(0, len(LEAF) - 1), st.binary(max_size=4), st.integers(0, 4)), max_size=3))
def test_mutated_certificates_raise_only_their_own_error(edits: list[tuple[int, bytes, int]]) -> None:
    data = LEAF
    for at, insert, drop in edits:
        data = data[:at] + insert + data[at + drop :]
    try:
        parsed = x509.parse(data)
        x509.subject_of(parsed)
    except BadParameter as error:
        assert error.code == "PKI-X509"  # noqa: PT017 - nothing else may come
    else:
        assert x509.is_issued_by(parsed, x509.parse(CA)) <= (data == LEAF)
