"""Two sockets of this machine, joined by hand as a loop would."""

import select
import socket

import pytest

from teleport.client.relay import Relay


@pytest.fixture
def world():
    """A relay with the sockets of both sides, and the list that it is in."""
    left, first = socket.socketpair()
    second, right = socket.socketpair()
    watched = []
    watched.append(Relay(watched, first, second, b"early "))
    for sock in (left, right):
        sock.settimeout(30)
    yield watched, left, right
    for sock in (left, right, first, second):
        sock.close()


def turn(watched, done):
    """Run a loop until a condition holds."""
    for _ in range(100_000):
        if done() or not watched:
            return
        wanted = {}
        for descriptor, events in watched[0].wants():
            wanted[descriptor] = wanted.get(descriptor, 0) | events
        poll = select.poll()
        for descriptor, events in wanted.items():
            poll.register(descriptor, events)
        for descriptor, events in poll.poll(30_000):
            if watched:
                watched[0].ready(descriptor, events)
    raise AssertionError("it does not end")


def readable(sock):
    return bool(select.select([sock], [], [], 0)[0])


def test_both_hear_each_other_until_both_have_ended(world):
    watched, left, right = world
    left.sendall(b"hello")
    turn(watched, lambda: readable(right))
    assert right.recv(6) == b"early "
    turn(watched, lambda: readable(right))
    assert right.recv(10) == b"hello"
    left.shutdown(socket.SHUT_WR)
    turn(watched, lambda: readable(right))
    assert right.recv(1) == b""
    right.sendall(b"still here")
    turn(watched, lambda: readable(left))
    assert left.recv(20) == b"still here"
    right.shutdown(socket.SHUT_WR)
    turn(watched, lambda: False)
    assert watched == []
    assert left.recv(1) == b""


def test_who_is_too_fast_is_held_back(world):
    watched, left, right = world
    data, got = b"x" * 4_000_000, 0
    left.setblocking(False)
    sent = 0
    while got < len(data) + 6:
        try:
            sent += left.send(data[sent : sent + 100_000]) if sent < len(data) else 0
        except BlockingIOError:
            assert len(watched[0]._ways[0].waiting) <= 65536
        turn(watched, lambda: readable(right))
        got += len(right.recv(1 << 20))
    assert sent == len(data)


def test_a_side_that_is_torn_away_ends_the_other(world):
    watched, left, right = world
    turn(watched, lambda: readable(right))
    right.close()
    left.sendall(b"anybody?")
    turn(watched, lambda: False)
    assert watched == []
    assert left.recv(1) == b""
