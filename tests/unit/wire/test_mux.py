"""The multiplexer's engine: streams between two ends, fairness, bounds, and every violation by its words."""

import pytest

from teleport.base.errors import Internal, LimitExceeded
from teleport.wire import mux_frames as frames
from teleport.wire.buffer import ProtocolError
from teleport.wire.mux import PINGS, STREAMS, WINDOW, Mux
from teleport.wire.mux_events import Answered, Bye, Called, Draining, Ended, Hello, Pong, Received, Reset

THEIRS = frames.THEIRS
BIG = 1 << 30


def plain(event):
    """Data as bytes, so that it can be compared."""
    return event._replace(data=bytes(event.data)) if isinstance(event, Received) else event


def pump(source: Mux, target: Mux) -> list:
    """Carry what one end has to say to the other, and return what that makes of it, data as bytes."""
    found = []
    while source.has_output:
        found += [plain(event) for event in target.receive(source.take(BIG).data)]
    return found


def ends(**limits: int) -> tuple[Mux, Mux]:
    a, b = Mux(**limits), Mux(**limits)
    assert pump(a, b) == pump(b, a) == [Hello(1)]
    return a, b


def opened(a: Mux, b: Mux, header: bytes = b"") -> tuple[int, int]:
    """Open a stream from `a`; return its number at both ends."""
    mine = a.open(header)
    assert pump(a, b) == [Called(THEIRS | mine, header)]
    assert b.answer(THEIRS | mine)
    assert pump(b, a) == [Answered(mine)]
    return mine, THEIRS | mine


def violation(mux: Mux, *data: bytes) -> str:
    with pytest.raises(ProtocolError) as caught:
        list(mux.receive(b"".join(data)))
    with pytest.raises(ProtocolError) as again:
        list(mux.receive(b""))
    assert again.value is caught.value
    assert caught.value.code == "WIRE-MUX"
    return caught.value.fields["problem"]


def test_nothing_is_overtaken_by_what_is_sent_now():
    a, b = ends(window=20)
    (x, y), (p, q) = opened(a, b), opened(a, b)
    assert [plain(event) for event in b.receive(a.send_now(x, b"first"))] == [Received(y, b"first")]
    a.ping(b"p")
    assert a.send_now(x, b"a control frame waits") == b""
    pump(a, b), pump(b, a)
    a.send(p, b"other")
    assert a.send_now(x, b"another stream waits") == b""
    assert pump(a, b) == [Received(q, b"other")]
    assert a.send_now(x, bytes(16)) == b""  # more than there is credit for
    a.send(x, bytes(16))
    assert pump(a, b) == [Received(y, bytes(15))]
    assert not a.has_output
    assert a.send_now(x, b"what was sent before waits") == b""
    b.read(y, 20)
    pump(b, a), pump(a, b)
    assert a.send_now(x, b"x")
    list(a.receive(frames.write(frames.DATA, y, bytes(10))))
    a.read(x, 10)
    assert a.send_now(x, b"x") == b""


def test_streams_carry_bytes_both_ways_and_end_by_halves():
    a, b = ends()
    (x, y), (p, q) = opened(a, b, b"one"), opened(b, a, b"two")
    a.send(x, b"question")
    assert a.backlog(x) == 8
    a.end(x)
    assert pump(a, b) == [Received(y, b"question"), Ended(y)]
    b.read(y, 8)
    b.send(y, b"ans")
    b.send(y, b"wer")
    b.end(y)
    b.send(p, b"other")
    assert pump(b, a) == [Received(x, b"answer"[:3] + b"wer"), Ended(x), Received(q, b"other")]
    assert (a.streams, b.streams) == (1, 1)
    a.end(q)
    b.end(p)
    assert pump(a, b) == [Ended(p)]
    assert pump(b, a) == [Ended(q)]
    assert (a.streams, b.streams) == (0, 0)


def test_nothing_goes_beyond_the_credit_until_it_is_read():
    a, b = ends(window=100, most_window=100)
    x, y = opened(a, b)
    a.send(x, b"z" * 250)
    assert pump(a, b) == [Received(y, b"z" * 100)]
    assert a.backlog(x) == 150
    b.read(y, 49)
    assert pump(b, a) == []
    b.read(y, 1)
    assert pump(b, a) == []
    assert pump(a, b) == [Received(y, b"z" * 50)]
    b.read(y, 100)
    pump(b, a)
    assert pump(a, b) == [Received(y, b"z" * 100)]
    assert (a.backlog(x), a.backlog(99)) == (0, 0)


def test_window_of_a_reader_that_keeps_up_grows_while_the_pool_lasts():
    a, b = ends(window=100, most_window=350, pool=300)
    pairs = [opened(a, b) for _ in range(2)]

    def given(x: int, y: int) -> int:
        a.send(x, b"z" * 1000)
        size = sum(len(event.data) for event in pump(a, b) if event.number == y)
        b.read(y, size)
        pump(b, a)
        return size

    assert [given(*pairs[0]) for _ in range(4)] == [100, 200, 350, 350]
    assert [given(*pairs[1]) for _ in range(3)] == [100, 150, 150]
    a.reset(pairs[0][0], "")
    assert given(*pairs[1]) == 150  # what the first one had goes back to the pool with the answer to this
    assert given(*pairs[1]) == 300


def test_reader_that_does_not_keep_up_gets_no_larger_window():
    a, b = ends(window=100)
    x, y = opened(a, b)
    a.send(x, b"z" * 1000)
    pump(a, b)
    b.read(y, 60)
    pump(b, a)
    assert sum(len(event.data) for event in pump(a, b)) == 60


def test_streams_take_turns_and_small_frames_go_first():
    a, b = ends(window=1 << 20)
    pairs = [opened(a, b) for _ in range(3)]
    for x, _ in pairs:
        a.send(x, bytes(100_000))
    a.ping(b"quick")
    out = a.take(1).data
    assert [type(event) for event in b.receive(out)] == []
    order = [event.number for event in pump(a, b)]
    assert order[:9] == [pairs[number][1] for number in (0, 1, 2)] * 3
    assert pump(b, a) == [Pong(b"quick")]


def test_a_stream_that_came_later_waits_for_one_frame_only():
    a, b = ends(window=1 << 20)
    (x, y), (p, q) = opened(a, b), opened(a, b)
    a.send(x, bytes(1 << 20))
    list(b.receive(a.take(100_000).data))
    a.send(p, b"short")
    found = [(event.number, len(event.data)) for event in b.receive(a.take(100_000).data)]
    assert found[:2] == [(y, frames.FRAME), (q, 5)]


def test_writers_hear_when_their_backlog_is_low():
    a, b = ends(window=1 << 20)
    x, _ = opened(a, b)
    a.send(x, bytes(200_000))
    assert a.take(32768, 100_000).eased == []
    assert a.take(80_000, 100_000).eased == [x]
    assert a.take(BIG, 100_000).eased == []


def test_take_keeps_to_its_limit_and_goes_on_later():
    a, b = ends()
    for _ in range(10):
        a.open(bytes(10_000))
    out = a.take(25_000).data
    assert 25_000 < len(out) < 35_100
    assert len(list(b.receive(out))) == 3
    assert len(pump(a, b)) == 7
    x, y = opened(b, a)
    for number in (x, y):
        assert number
    for _ in range(5):
        b.send(x, bytes(WINDOW // 5))
    pump(b, a)
    a.read(y, WINDOW // 5 * 5)
    a.open(bytes(10_000))
    a.take(5)
    assert a.has_output  # the credit waits for its turn


def test_refusal_says_why_and_frees_the_number():
    a, b = ends()
    x = a.open(b"who")
    assert pump(a, b) == [Called(THEIRS | x, b"who")]
    b.reset(THEIRS | x, "nobody\nhere")
    b.reset(THEIRS | x, "twice")
    assert not b.answer(THEIRS | x)
    assert pump(b, a) == [Reset(x, "nobody\ufffdhere", refused=True)]
    assert (a.streams, b.streams) == (1, 1)
    assert pump(a, b) == []
    assert (a.streams, b.streams) == (0, 0)
    assert not b.answer(THEIRS | x)


def test_caller_may_give_up_before_the_answer():
    a, b = ends()
    x = a.open(b"")
    a.reset(x, "changed my mind")
    assert pump(a, b) == [Called(THEIRS | x, b""), Reset(THEIRS | x, "changed my mind", refused=False)]
    assert not b.answer(THEIRS | x)
    assert pump(b, a) == []
    assert (a.streams, b.streams) == (0, 0)


def test_caller_gives_up_while_the_answer_is_under_way():
    a, b = ends()
    x = a.open(b"")
    pump(a, b)
    b.answer(THEIRS | x)
    b.send(THEIRS | x, b"data")
    a.reset(x, "late")
    assert pump(b, a) == []
    assert pump(a, b) == [Reset(THEIRS | x, "late", refused=False)]
    assert pump(b, a) == []
    assert (a.streams, b.streams) == (0, 0)


def test_reset_drops_what_waits_and_is_answered():
    a, b = ends(window=100)
    x, y = opened(a, b)
    a.send(x, bytes(1000))
    pump(a, b)
    b.send(y, b"late")
    b.end(y)
    a.reset(x, "broken")
    assert pump(a, b) == [Reset(y, "broken", refused=False)]
    assert pump(b, a) == []
    assert (a.streams, b.streams) == (0, 0)
    a.reset(x, "again")
    assert not a.has_output


def test_resets_that_cross():
    a, b = ends()
    x, y = opened(a, b)
    a.reset(x, "a")
    b.reset(y, "b")
    from_a, from_b = a.take(BIG).data, b.take(BIG).data
    assert list(b.receive(from_a)) == list(a.receive(from_b)) == []
    assert (a.streams, b.streams, a.has_output, b.has_output) == (0, 0, False, False)


def test_nothing_is_sent_on_a_stream_that_was_reset_while_it_waits_for_its_turn():
    a, b = ends()
    (x, y), (p, q) = opened(a, b), opened(a, b)
    for number in (x, p):
        a.send(number, b"data")
    a.reset(x, "")
    assert pump(a, b) == [Reset(y, "", refused=False), Received(q, b"data")]


def test_close_sends_what_waits_and_stops_the_peer():
    a, b = ends(window=100)
    x, y = opened(a, b)
    a.send(x, bytes(150))
    a.close(x)
    a.close(x)
    b.send(y, b"unwanted")
    assert pump(b, a) == []
    assert pump(a, b) == [Received(y, bytes(100))]
    b.read(y, 100)
    assert pump(b, a) == []
    assert pump(a, b) == [Received(y, bytes(50)), Ended(y), Reset(y, "", refused=False)]
    with pytest.raises(Internal):
        b.send(y, b"more")
    b.read(y, 50)
    assert pump(b, a) == []
    assert (a.streams, b.streams) == (0, 0)


def test_close_after_both_ends_and_in_every_other_state():
    a, b = ends()
    x, y = opened(a, b)
    b.end(y)
    pump(b, a)
    a.close(x)
    assert pump(a, b) == [Ended(y)]
    assert (a.streams, b.streams) == (0, 0)
    a.close(x)
    a.end(x)
    a.read(x, 1)
    x, y = opened(a, b)
    a.end(x)
    pump(a, b)
    a.close(x)
    assert pump(a, b) == [Reset(y, "", refused=False)]
    asked = a.open(b"")
    a.close(asked)
    assert [type(event) for event in pump(a, b)] == [Called, Reset]


def test_frames_that_cross_the_end_are_passed_over():
    """b's credit and reset are under way when both ends have passed."""
    a, b = ends(window=100)
    x, y = opened(a, b)
    a.send(x, bytes(80))
    a.end(x)
    pump(a, b)
    b.end(y)
    end = b.take(BIG).data
    assert pump(a, b) == []
    list(a.receive(end))
    assert list(a.receive(frames.write_count(frames.CREDIT, THEIRS | x, 5))) == []
    assert list(a.receive(frames.write_text(frames.RESET, THEIRS | x, "late"))) == []


def test_credit_for_a_stream_that_is_over_is_not_sent():
    a, b = ends(window=100)
    x, y = opened(a, b)
    a.send(x, bytes(80))
    pump(a, b)
    b.read(y, 80)
    assert b.has_output
    a.reset(x, "")
    pump(a, b)
    assert [frames.NAMES[kind] for kind, _, _ in frames.FrameReader().feed(b.take(BIG).data)] == ["RESET"]
    x, y = opened(a, b)
    a.send(x, bytes(80))
    pump(a, b)
    b.read(y, 80)
    b.reset(y, "")
    assert [frames.NAMES[kind] for kind, _, _ in frames.FrameReader().feed(b.take(BIG).data)] == ["RESET"]
    a, b = ends(window=100)
    x, y = opened(a, b)
    a.send(x, bytes(80))
    a.end(x)
    out = a.take(BIG).data
    list(b.receive(out[:-8]))
    b.read(y, 80)
    b.end(y)
    list(b.receive(out[-8:]))
    b._grants[y] = None
    assert [frames.NAMES[kind] for kind, _, _ in frames.FrameReader().feed(b.take(BIG).data)] == ["END"]
    b._grants[y] = None
    assert b.take(BIG).data == b""


def test_one_stream_more_than_allowed_is_refused_here_and_a_violation_there():
    a, b = ends()
    numbers = [a.open(b"") for _ in range(STREAMS)]
    with pytest.raises(LimitExceeded, match="carries 1024 streams already"):
        a.open(b"")
    assert len(pump(a, b)) == STREAMS
    b.open(b"")
    a.reset(numbers[0], "")
    with pytest.raises(LimitExceeded):
        a.open(b"")  # until both know that it is over
    pump(a, b)
    pump(b, a)
    assert a.open(b"") == STREAMS + 1
    pump(a, b)
    assert "more than 1024 streams" in violation(b, frames.write_open(STREAMS + 2, 1, b""))


def test_numbers_are_used_up_some_day():
    a, _ = ends()
    a._last_ours = frames.NUMBERS
    with pytest.raises(LimitExceeded):
        a.open(b"")


def test_header_is_bounded():
    a, b = ends()
    a.open(bytes(frames.HEADER))
    assert len(pump(a, b)[0].header) == frames.HEADER
    with pytest.raises(LimitExceeded, match="16385 bytes of header"):
        a.open(bytes(frames.HEADER + 1))


def test_pings_are_answered_in_order_and_bounded():
    a, b = ends()
    for number in range(PINGS):
        a.ping(b"%d" % number)
    with pytest.raises(LimitExceeded, match="16 pings"):
        a.ping(b"")
    assert pump(a, b) == []
    assert pump(b, a) == [Pong(b"%d" % number) for number in range(PINGS)]
    a.ping(b"")
    assert "more than 16 pings" in violation(b, *[frames.write(frames.PING)] * (PINGS + 1))


def test_draining_end_takes_no_new_streams_and_keeps_the_old():
    a, b = ends()
    x, y = opened(a, b)
    late = a.open(b"")
    b.drain()
    b.drain()
    assert pump(a, b) == []
    assert pump(b, a) == [Draining(), Reset(late, "this end takes no new streams", refused=True)]
    assert (a.peer_draining, b.draining, a.draining) == (True, True, False)
    a.send(x, b"still")
    assert pump(a, b) == [Received(y, b"still")]


def test_goodbye_is_the_last_word():
    a, b = ends()
    x, _ = opened(a, b)
    a.send(x, b"dropped")
    a.ping(b"dropped")
    a._grants[x] = None
    a.bye("the proxy stops")
    assert pump(a, b) == [Bye("the proxy stops")]
    assert "a frame after the last one" in violation(b, frames.write(frames.PING))


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (frames.write_hello(), "a second greeting"),
        (frames.write(frames.PONG), "that was not sent"),
        (frames.write_open(2, 1, b""), "out of turn"),
        (frames.write_open(THEIRS | 1, 1, b""), "out of turn"),
        (frames.write_open(1, 0, b""), "credit of 0 bytes"),
        (frames.write(frames.DATA, 1, b"x"), "DATA on a stream that is not open"),
        (frames.write(frames.END, THEIRS | 1), "END on a stream that is not open"),
        (frames.write(frames.RESET, 1), "RESET on a stream that is not open"),
        (frames.write_count(frames.CREDIT, THEIRS | 1, 1), "CREDIT on a stream that is not open"),
        (frames.write(frames.DRAIN) * 2, "a second DRAIN"),
        (frames.write_open(1, 1, b"") + frames.write(frames.DATA, 1, b"x"), "DATA on a stream that is called"),
        (b"\0" * 8, "no frame of kind 0"),
    ],
)
def test_every_violation_ends_it_with_its_own_words(data, said):
    _, b = ends()
    assert said in violation(b, data)


def test_first_frame_is_the_greeting():
    assert "the first frame is not a greeting" in violation(Mux(), frames.write(frames.DRAIN))


def test_wrong_answer_to_a_ping():
    a, _ = ends()
    a.ping(b"one")
    assert "an answer to a ping that was not sent" in violation(a, frames.write(frames.PONG, body=b"two"))


def test_peer_that_sends_more_than_its_credit():
    a, b = ends(window=100)
    x, y = opened(a, b)
    list(b.receive(frames.write(frames.DATA, x, bytes(60))))
    b.read(y, 49)
    assert "41 bytes on a stream that has credit for 40" in violation(b, frames.write(frames.DATA, x, bytes(41)))


def test_what_came_before_a_violation_is_told():
    a, b = ends()
    a.open(b"fine")
    receiving = b.receive(a.take(BIG).data + b"\0" * 8)
    assert next(receiving) == Called(THEIRS | 1, b"fine")
    with pytest.raises(ProtocolError):
        next(receiving)


def test_use_after_the_end_is_a_defect():
    a, b = ends()
    x, _ = opened(a, b)
    a.end(x)
    with pytest.raises(Internal) as caught:
        a.send(x, b"more")
    assert caught.value.code == "WIRE-MUX-USE"
