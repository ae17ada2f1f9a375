"""What a client is told that gets no node, as an SSH client reads it."""

from __future__ import annotations

import socket
import threading

from teleport.base.entropy import SeededEntropy
from teleport.base.errors import NotFound
from teleport.bot.multiplexer.upstream import Upstream, refusal
from teleport.client.ssh_client.ciphers import Plain
from teleport.wire.ssh import read_disconnect


def said(data: bytes) -> str:
    version, _, packet = data.partition(b"\r\n")
    assert version.startswith(b"SSH-2.0-Teleport_")
    return read_disconnect(Plain(lambda size: bytes(size)).open(packet, 0))[1]


def test_a_refusal_is_a_message_of_ssh() -> None:
    error = NotFound("PROXY-CLUSTER", cluster="leaf", known="example.com")
    assert said(refusal(error, SeededEntropy(1))).startswith(error.what)


def test_a_long_reason_is_cut_between_characters() -> None:
    error = NotFound("PROXY-CLUSTER", cluster="\u00e9" * 1000, known="example.com")
    assert 300 < len(said(refusal(error, SeededEntropy(1))).encode()) <= 380


def test_before_the_first_certificates_nobody_is_connected() -> None:
    upstream, over = Upstream(resume=True, entropy=SeededEntropy(1)), threading.Event()
    ours, theirs = socket.socketpair()
    with ours:
        ours.settimeout(60)
        ours.sendall(b"SSH-2.0-Test\r\n")
        upstream.start(theirs, "node-1:3022", "", b"", over.set)
        received = b""
        while data := ours.recv(1000):
            received += data
    assert said(received).startswith("the bot has no certificates for this yet")
    assert over.wait(60)
