"""Laws of identity files: whatever a file holds, it is an identity or a BadParameter that names the file."""

from hypothesis import given, settings
from hypothesis import strategies as st

from teleport.base.errors import BadParameter
from teleport.client import identity_file
from tests.support import identities

WHOLE = identities.data()


def refusal(data):
    """Use a file, and return why that did not do; None if it did."""
    try:
        parts = identity_file.parse(data, "/k/identity")
        identity_file.open_home(parts, "/k/identity", "proxy.example.com:443")
    except BadParameter as error:
        return error
    return None


def harmless(data):
    error = refusal(data)
    assert error is None or (error.code == "CLIENT-IDENTITY" and "/k/identity" in str(error))


def test_a_genuine_file():
    assert refusal(WHOLE) is None


@given(st.binary(max_size=300))
def test_any_bytes(data):
    harmless(data)


@settings(max_examples=200)
@given(st.integers(0, len(WHOLE) - 1), st.integers(0, 3), st.binary(max_size=3))
def test_any_change_of_a_genuine_file(place, cut, put):
    harmless(WHOLE[:place] + put + WHOLE[place + cut :])


@given(st.permutations(WHOLE.splitlines(keepends=True)))
def test_any_order_of_its_lines(lines):
    harmless(b"".join(lines))
