"""X11 displays as the user: a port of the loopback address, and the cookie that programs show there.

As with sshd, a display is a number `n` whose port is 6000 + n, and its cookie goes to xauth(1) on standard input:
arguments can be read by everybody on the machine.
"""

from __future__ import annotations

import errno
import os
import re
import shutil
import socket
import subprocess
from collections.abc import Mapping

from teleport.agents.ssh import user_side_messages as messages
from teleport.agents.ssh.user_side_sockets import Made, listening
from teleport.base.errors import BadParameter, LimitExceeded, NotFound, Unavailable

PORT = 6000
DISPLAYS = range(59536)
"""Numbers whose port is one."""
XAUTH_SECONDS = 10.0
_PROTOCOL = re.compile(r"[A-Za-z0-9-]{1,64}")


def open_display(request: messages.OpenDisplay, environment: Mapping[str, str]) -> Made:
    """Listen at a free display and write its cookie. Raises BadParameter (SSH-USER-COOKIE), LimitExceeded
    (SSH-USER-DISPLAY), NotFound or Unavailable (SSH-USER-XAUTH)."""
    good = 0 < len(request.cookie) <= messages.COOKIE_BYTES and 0 <= request.screen < 256
    if not good or not _PROTOCOL.fullmatch(request.protocol):
        raise BadParameter("SSH-USER-COOKIE", limit=messages.COOKIE_BYTES)
    number, sockets = _listen(request.offset, request.most)
    name, entry = f"localhost:{number}.{request.screen}", f"unix:{number}.{request.screen}"
    try:
        added = f"add {entry} {request.protocol} {request.cookie.hex()}"
        _xauth([f"remove {entry}", added], environment)
    except BaseException:
        for each in sockets:
            each.close()
        raise
    made = (lambda: _forget(entry, environment),)
    return Made(sockets, port=PORT + number, name=name, leaves=made)


def _listen(offset: int, most: int) -> tuple[int, tuple[socket.socket, ...]]:
    """Return the first number from `offset` to `most` whose port is free on each loopback address."""
    for number in range(offset, most + 1):
        if number not in DISPLAYS:
            break
        try:
            first = listening(socket.AF_INET, ("127.0.0.1", PORT + number))
        except OSError:
            continue
        try:
            return number, (first, listening(socket.AF_INET6, ("::1", PORT + number)))
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                return number, (first,)  # this machine has no IPv6
            first.close()
    raise LimitExceeded("SSH-USER-DISPLAY", offset=offset, most=most)


def _forget(entry: str, environment: Mapping[str, str]) -> None:
    try:
        _xauth([f"remove {entry}"], environment)
    except (NotFound, Unavailable):
        pass  # the cookie is of no use without the listener


def _xauth(commands: list[str], environment: Mapping[str, str]) -> None:
    """Run xauth(1) on these commands. Raises NotFound or Unavailable (SSH-USER-XAUTH)."""
    program = shutil.which("xauth", path=environment.get("PATH", os.defpath))
    if program is None:
        raise NotFound("SSH-USER-XAUTH", problem="the program is not there")
    try:
        done = subprocess.run(
            [program, "-q", "-"],
            input="\n".join([*commands, "exit", ""]).encode(),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            env=dict(environment),
            timeout=XAUTH_SECONDS,
            process_group=0,  # a signal that ends the helper lets it finish
        )
    except subprocess.TimeoutExpired:
        raise Unavailable("SSH-USER-XAUTH", problem="it did not end in time") from None
    except OSError as error:
        raise Unavailable("SSH-USER-XAUTH", problem=error.strerror or str(error)) from None
    if done.returncode != 0:
        said = " ".join(done.stderr.decode(errors="replace").split())[:200]
        raise Unavailable("SSH-USER-XAUTH", problem=said or f"status {done.returncode}")
