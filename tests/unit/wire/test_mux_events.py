"""Events of the multiplexer are values."""

from teleport.wire.mux_events import Outgoing, Reset


def test_events_are_values():
    assert Reset(1, "why", refused=True) == Reset(1, "why", True)
    assert Outgoing(b"", []).eased == []
