"""Laws of forwards: whatever is typed is read or refused, and what was read can be written so that it comes back."""

import contextlib

from hypothesis import given, settings
from hypothesis import strategies as st

from teleport.base.errors import BadParameter
from teleport.client.forwards import EVERYWHERE, Unix, parse

PIECES = st.lists(st.sampled_from(["8080", "web", "[::1]", ":", ":", ":", "/s", "*", "0", "[", "]", "é"]), max_size=9)


def written(place, brackets=True):
    if isinstance(place, Unix):
        return place.path
    return f"{'*' if place.host == EVERYWHERE else f'[{place.host}]'}:{place.port}"


@settings(max_examples=300)
@given(st.sampled_from("LRD"), PIECES)
def test_it_is_read_or_refused(option, pieces):
    with contextlib.suppress(BadParameter):
        found = parse(option, "".join(pieces))
        text = written(found.listen) + (f":{written(found.to)}" if found.to else "")
        assert parse(option, text) == found
