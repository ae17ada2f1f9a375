"""The network between the namespaces of `tests.support.netns`: a program of its own that passes IPv4 packets on.

Its first argument is the first three numbers of all addresses. Commands come as lines of JSON on its input, each is
answered with `done`: `machines` (name to process id, once, in the order of their addresses) gives each of them a
device `net0`, `pair` says what happens between two. Between others nothing passes. It ends with its input.
"""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
import random
import struct
import subprocess
import sys
from dataclasses import dataclass, field
from typing import Any

_TUNSETIFF = 0x400454CA
_TUN_WITHOUT_HEADER = 0x1001
_TCP = 6
_SYN, _RST, _ACK = 0x02, 0x04, 0x10
_LARGEST = 65536


@dataclass
class Link:
    """What happens between two machines."""

    loss: float = 0.0
    delay: float = 0.0
    reset: bool = False
    forget: bool = False
    known: set[frozenset[tuple[bytes, bytes]]] = field(default_factory=set)
    """Connections that have begun since the fault did."""


class Router:
    """Passes packets."""

    def __init__(self, network: str) -> None:
        self._network = bytes(int(part) for part in network.split("."))
        self._names: dict[str, int] = {}
        self._devices: dict[int, int] = {}
        self._links: dict[frozenset[int], Link] = {}
        self._random = random.Random(7)

    def command(self, words: dict[str, Any]) -> None:
        """Do what a line says."""
        if "machines" in words:
            for number, (name, pid) in enumerate(words["machines"].items(), 1):
                self._names[name] = number
                self._add(number, pid)
            return
        pair = frozenset(self._names[name] for name in words.pop("pair"))
        self._links[pair] = Link(**words)

    def _add(self, number: int, pid: int) -> None:
        device = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
        fcntl.ioctl(device, _TUNSETIFF, struct.pack("16sH", b"net0", _TUN_WITHOUT_HEADER))
        subprocess.run(["ip", "link", "set", "net0", "netns", str(pid)], check=True)
        self._devices[number] = device
        asyncio.get_running_loop().add_reader(device, self._take, number)

    def _take(self, number: int) -> None:
        try:
            packet = os.read(self._devices[number], _LARGEST)
        except OSError:  # the device is down
            return
        if packet[0] >> 4 == 4 and packet[16:19] == self._network:
            self._pass(packet, number, packet[19])

    def _pass(self, packet: bytes, source: int, target: int) -> None:
        link = self._links.get(frozenset((source, target)))
        if (
            link is None
            or (link.loss and self._random.random() < link.loss)
            or (link.forget and not _fresh(link, packet))
        ):
            return
        if link.reset and (answer := _reset(packet)) is not None:
            self._give(source, answer)
        elif link.delay:
            asyncio.get_running_loop().call_later(link.delay, self._give, target, packet)
        else:
            self._give(target, packet)

    def _give(self, target: int, packet: bytes) -> None:
        try:
            os.write(self._devices[target], packet)
        except OSError:  # full, or down: networks lose packets
            return


def _fresh(link: Link, packet: bytes) -> bool:
    """Say whether a packet belongs to a connection that began after the fault."""
    if packet[9] != _TCP:
        return True
    tcp = packet[(packet[0] & 15) * 4 :]
    ends = frozenset(((packet[12:16], tcp[0:2]), (packet[16:20], tcp[2:4])))
    if tcp[13] & (_SYN | _ACK) == _SYN:
        link.known.add(ends)
    return ends in link.known


def _reset(packet: bytes) -> bytes | None:
    """Return the packet that resets the connection of whoever sent this one; None for what is no TCP."""
    if packet[9] != _TCP:
        return None
    size = (packet[0] & 15) * 4
    tcp = packet[size:]
    if tcp[13] & _RST:
        return None
    (seen,) = struct.unpack(">I", tcp[4:8])
    length = len(tcp) - (tcp[12] >> 4) * 4 + (tcp[13] & _SYN) // _SYN
    head = (
        tcp[2:4]
        + tcp[0:2]
        + tcp[8:12]
        + struct.pack(">IBBHHH", (seen + length) % (1 << 32), 0x50, _RST | _ACK, 0, 0, 0)
    )
    source, target = packet[16:20], packet[12:16]
    check = _sum(source + target + struct.pack(">HH", _TCP, len(head)) + head)
    body = head[:16] + struct.pack(">H", check) + head[18:]
    outer = struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(body), 0, 0, 64, _TCP, 0) + source + target
    return outer[:10] + struct.pack(">H", _sum(outer)) + outer[12:] + body


def _sum(data: bytes) -> int:
    """Return the checksum of the internet (RFC 1071)."""
    total = sum(struct.unpack(f">{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


async def _main() -> None:
    router = Router(sys.argv[1])
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin.buffer)
    while line := await reader.readline():
        router.command(json.loads(line))
        sys.stdout.write("done\n")
        sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(_main())
