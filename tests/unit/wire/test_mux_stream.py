"""A stream of the multiplexer: its table of states, and the accounts of both directions."""

import pytest

from teleport.base.errors import Internal
from teleport.wire import mux_frames as frames
from teleport.wire.buffer import ProtocolError
from teleport.wire.mux_stream import MOST_CREDIT, RECEIVE, SEND, SILENT, MuxStream, State


def stream(state: State = State.OPEN, **fields: int) -> MuxStream:
    return MuxStream(1, state, **{"window": 100, **fields})


def test_tables_are_whole_and_know_no_way_back():
    assert set(RECEIVE) == set(SEND) == set(State)
    order = list(State)
    for table in (RECEIVE, SEND):
        for before, row in table.items():
            assert all(order.index(after) >= order.index(before) for after in row.values()), before


def test_both_ends_agree():
    """Whatever one end may send, the other expects: walked from the opening, with every order of crossing frames."""
    start = (State.ASKED, State.CALLED, (), ())
    seen, left = {start}, [start]
    while left:
        a, b, to_b, to_a = left.pop()
        found = [(SEND[a][kind], b, (*to_b, kind), to_a) for kind in SEND[a]]
        found += [(a, SEND[b][kind], to_b, (*to_a, kind)) for kind in SEND[b]]
        if to_b:
            found.append(delivered(a, b, to_b, to_a))
        if to_a:
            y, x, into_a, into_b = delivered(b, a, to_a, to_b)
            found.append((x, y, into_b, into_a))
        for each in found:
            if each not in seen and len(each[2]) <= 4 and len(each[3]) <= 4:
                seen.add(each)
                left.append(each)
    assert len(seen) > 1000


def delivered(a, b, to_b, to_a):
    """Deliver the first frame on the way from `a` to `b`, and answer it as the engine does."""
    kind, rest = to_b[0], to_b[1:]
    if b is State.DONE:
        assert kind in (frames.CREDIT, frames.RESET), (kind, a)
        return a, b, rest, to_a
    assert kind in RECEIVE[b], (frames.NAMES[kind], a, b)
    after = RECEIVE[b][kind]
    if kind == frames.RESET and frames.RESET in SEND[b]:
        to_a = (*to_a, frames.RESET)
    return a, after, rest, to_a


@pytest.mark.parametrize("state", State)
def test_every_other_frame_is_a_violation(state):
    for kind in frames.NAMES:
        one = stream(state)
        if kind in RECEIVE[state]:
            assert one.received(kind) is state
            assert one.state is RECEIVE[state][kind]
        else:
            with pytest.raises(ProtocolError, match=f"{frames.NAMES[kind]} on a stream that is {state.value}"):
                one.received(kind)
            assert one.state is state


@pytest.mark.parametrize("state", State)
def test_every_other_use_is_a_defect(state):
    for kind in frames.NAMES:
        one = stream(state)
        if kind in SEND[state]:
            one.sent(kind)
            assert one.state is SEND[state][kind]
        else:
            with pytest.raises(Internal, match="is not possible on a stream"):
                one.sent(kind)


def test_silent_when_nobody_wants_to_hear():
    one = stream()
    assert not one.silent
    one.closing = True
    assert one.silent
    assert {state for state in State if stream(state).silent} == SILENT


def test_only_what_may_go_as_one_frame_now_passes_the_queue():
    one = stream(credit=50)
    assert not one.pass_by(0)
    assert not one.pass_by(51)
    assert one.pass_by(20)
    assert one.credit == 30
    one.backlog = 1
    assert not one.pass_by(1)
    one.backlog, one.ending = 0, True
    assert not one.pass_by(1)
    assert not stream(credit=1 << 20).pass_by(frames.FRAME + 1)
    assert {state for state in State if stream(state, credit=1).pass_by(1)} == {
        state for state in State if frames.DATA in SEND[state]
    }


def test_more_than_the_credit_is_a_violation():
    one = stream()
    one.arrived(60)
    with pytest.raises(ProtocolError, match="41 bytes on a stream that has credit for 40"):
        one.arrived(41)
    one.arrived(40)
    assert (one.room, one.unread) == (0, 100)


def test_credit_is_given_for_half_of_the_window():
    one = stream()
    one.arrived(100)
    assert not one.read(49)
    assert one.read(1)
    assert (one.owed, one.unread, one.room) == (50, 50, 0)
    one.closing = True
    assert not one.read(50)


def test_no_credit_is_given_to_who_has_ended():
    one = stream()
    one.arrived(100)
    one.received(frames.END)
    assert not one.read(100)


def test_window_grows_for_a_reader_that_keeps_up():
    one = stream()
    one.arrived(60)
    one.read(50)
    assert one.grow(1000) == 0
    one.read(10)
    assert one.grow(1000) == 100
    assert (one.window, one.owed) == (200, 160)
    assert one.room + one.unread + one.owed == one.window
    assert one.grow(7) == 7


@pytest.mark.parametrize(("has", "size"), [(0, 0), (1, MOST_CREDIT), (MOST_CREDIT, 1)])
def test_absurd_credit_is_a_violation(has, size):
    with pytest.raises(ProtocolError, match="credit of"):
        stream(credit=has).credited(size)


def test_data_goes_as_far_as_the_credit():
    one, parts = stream(credit=5), []
    assert not one.can_send
    one.put(b"abc")
    one.put(b"defg")
    assert one.can_send
    assert one.next_size == 5
    one.cut(4, parts)
    one.cut(1, parts)
    assert b"".join(parts) == b"abcde"
    assert (one.backlog, one.credit, one.can_send) == (2, 0, False)
    one.credited(MOST_CREDIT)
    assert one.next_size == 2
    one.cut(2, parts)
    assert b"".join(parts) == b"abcdefg"
    assert not one.can_send
    one.put(b"x" * 100_000)
    assert one.next_size == frames.FRAME


def test_end_follows_the_data_and_needs_no_credit():
    one = stream(credit=1)
    one.put(b"ab")
    one.ending = True
    one.cut(1, [])
    assert not one.can_send
    one.credited(1)
    one.cut(1, [])
    assert one.can_send
    one.sent(frames.END)
    assert not one.can_send


def test_nothing_is_queued_after_the_end():
    one = stream()
    one.ending = True
    with pytest.raises(Internal, match="DATA is not possible on a stream that is open"):
        one.put(b"x")
    with pytest.raises(Internal):
        stream(State.ENDED).put(b"x")


def test_small_pieces_are_joined_while_they_wait():
    one, parts = stream(credit=10_000), []
    for number in range(1000):
        one.put(b"%04d" % number)
    assert one.queue is not None
    assert len(one.queue) == 4
    one.put(bytes(5000))
    assert len(one.queue) == 5
    one.cut(9000, parts)
    assert b"".join(parts) == b"".join(b"%04d" % number for number in range(1000)) + bytes(5000)


def test_what_waits_can_be_dropped():
    one = stream(credit=9)
    one.put(b"x")
    one.drop()
    assert (one.backlog, one.can_send) == (0, False)
