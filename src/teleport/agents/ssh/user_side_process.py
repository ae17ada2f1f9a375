"""The user-side helper: a fork of the spawner that has become a user and does what the SSH Service asks, as that user.

It opens, connects and binds with the account's own rights, so that the kernel decides, and gives sockets back. It
speaks with nobody but the service: bounded messages on one socket (`user_side_messages`). Each request has a thread,
because looking up a name or connecting may take its time. What the code below may need is imported here, before
the change of user: the account may not be able to read it. What a request does is in `user_side_sockets` and
`user_side_display`.
"""

from __future__ import annotations

import ctypes
import os
import signal
import socket
import threading
from collections.abc import Mapping
from typing import NoReturn

import teleport.base.catalogue.en.ssh  # noqa: F401 - the words of our errors
from teleport.agents.ssh import command, sftp_server, user_side_display, user_side_sockets
from teleport.agents.ssh import user_side_messages as messages
from teleport.agents.ssh.accounts import Account
from teleport.agents.ssh.spawner_messages import Refused
from teleport.agents.ssh.user_side_sockets import Made
from teleport.base.errors import LimitExceeded, TeleportError, Unavailable
from teleport.base.process_name import set_name

SFTP_SESSIONS = 64
"""File services at one time; a connection has no more channels."""
STACK_BYTES = 512 * 1024
_PR_SET_DUMPABLE, _PR_SET_NO_NEW_PRIVS = 4, 38  # linux/prctl.h
_CHANNEL = 3


def become(account: Account, environment: Mapping[str, str], channel: int, report: int) -> NoReturn:
    """Turn this forked child into the helper of `account` and serve `channel` to its end; a failure to begin is
    written to `report`, which is closed when the helper is ready."""
    try:
        set_name("teleport-user", ())
        null = os.open(os.devnull, os.O_RDWR)
        command.detach((null, null, null, channel), report)
        os.set_inheritable(_CHANNEL, False)
        command.become_user(account)
        _close_to_others()
        threading.stack_size(STACK_BYTES)
        helper = Helper(socket.socket(fileno=_CHANNEL), account.login, environment)
        signal.signal(signal.SIGHUP, lambda *_: helper.end())
        for ignored in (signal.SIGINT, signal.SIGPIPE, signal.SIGXFSZ):  # the last two are errors of a write
            signal.signal(ignored, signal.SIG_IGN)
        os.close(report)
        report = -1
        helper.run()
    except BaseException as error:
        if report >= 0:
            problem = error.strerror if isinstance(error, OSError) and error.strerror else repr(error)
            os.write(report, problem.encode(errors="replace")[:500])
    finally:
        os._exit(0)


def _close_to_others() -> None:
    """Keep the account's other processes out of this one's memory and descriptors (ptrace(2), proc(5)), and keep
    set-user-ID programs from being more than the account (prctl(2)). The spawner's memory, which this process
    has a copy of, holds no secret; the sockets that pass through here are another session's matter."""
    prctl = ctypes.CDLL(None, use_errno=True).prctl
    for option, value in ((_PR_SET_DUMPABLE, 0), (_PR_SET_NO_NEW_PRIVS, 1)):
        if prctl(option, value, 0, 0, 0) != 0:
            raise OSError(ctypes.get_errno(), "prctl failed")


class Helper:
    """Serves one socket until its other end closes."""

    def __init__(self, channel: socket.socket, login: str, environment: Mapping[str, str]) -> None:
        """`channel` is a blocking SOCK_SEQPACKET socket; `environment` is for xauth(1)."""
        self._channel = channel
        self._login = login
        self._environment = environment
        self._made: dict[int, Made] = {}
        self._over = False
        self._changing = threading.Lock()
        self._room = threading.BoundedSemaphore(messages.REQUESTS)
        self._files = threading.BoundedSemaphore(SFTP_SESSIONS)

    def run(self) -> None:
        """Serve to the end; then remove what was made."""
        try:
            while self._receive():
                pass
        except (OSError, TeleportError):
            pass  # nobody is left to tell
        with self._changing:
            made, self._made, self._over = list(self._made.values()), {}, True
        for each in made:
            each.remove()

    def end(self) -> None:
        """Make `run` come to its end, from a handler of a signal: nothing that is being removed is interrupted."""
        try:
            self._channel.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass  # its other end has gone

    def _receive(self) -> bool:
        data = self._channel.recv(messages.MESSAGE_BYTES + 1)
        if not data:
            return False
        request = messages.decode_request(data)
        self._room.acquire()  # further requests wait in the socket
        try:
            threading.Thread(target=self._work, args=(request,), daemon=True).start()
        except RuntimeError:  # limits.conf(5) may bound the account's processes
            self._room.release()
            self._refuse(request, LimitExceeded("SSH-USER-BUSY", problem="the account can start no more threads"))
        return True

    def _work(self, request: messages.Request) -> None:
        try:
            made = self._do(request)
            self._remember(request, made)
            self._answer(request, made)
        except TeleportError as error:
            self._refuse(request, error)
        except OSError as error:
            problem = error.strerror or str(error)
            self._refuse(request, Unavailable("SSH-USER-BUSY", problem=problem))
        except Exception as error:
            self._refuse(request, Unavailable("SSH-USER-GONE", problem=repr(error)[:200]))
        finally:
            self._room.release()

    def _remember(self, request: messages.Request, made: Made) -> None:
        """Keep what is to be removed later; at once, if it is too late for later."""
        with self._changing:
            if made.leaves and not self._over:
                self._made[request.id] = made
        if self._over:
            made.remove()

    def _do(self, request: messages.Request) -> Made:
        if isinstance(request, messages.ServeSftp):
            return self._serve_sftp(read_only=request.read_only)
        if isinstance(request, messages.OpenDisplay):
            return user_side_display.open_display(request, self._environment)
        if isinstance(request, messages.Forget):
            with self._changing:
                made = self._made.pop(request.listener, None)
            if made is not None:
                made.remove()
            return Made()
        return user_side_sockets.do(request, self._login)

    def _serve_sftp(self, *, read_only: bool) -> Made:
        if not self._files.acquire(blocking=False):
            raise LimitExceeded("SSH-USER-BUSY", problem=f"files are served {SFTP_SESSIONS} times")
        pair: tuple[socket.socket, ...] = ()
        try:
            ours, theirs = pair = socket.socketpair()
            threading.Thread(target=self._serve_files, args=(ours, read_only), daemon=True).start()
        except (OSError, RuntimeError) as error:
            for each in pair:
                each.close()
            self._files.release()
            raise Unavailable("SSH-USER-SFTP", login=self._login, problem=error) from None
        return Made((theirs,))

    def _serve_files(self, connection: socket.socket, read_only: bool) -> None:
        try:
            sftp_server.serve(connection, read_only=read_only)
        except OSError:
            pass  # the client has gone
        finally:
            connection.close()
            self._files.release()

    def _answer(self, request: messages.Request, made: Made) -> None:
        reply = messages.Given(id=request.id, port=made.port, path=made.path, name=made.name)
        try:
            socket.send_fds(self._channel, [messages.encode(reply)], [each.fileno() for each in made.sockets])
        finally:
            for each in made.sockets:
                each.close()

    def _refuse(self, request: messages.Request, error: TeleportError) -> None:
        fields = {name: value[: messages.FIELD_CHARACTERS] for name, value in error.fields.items()}
        try:
            self._channel.send(
                messages.encode(Refused(id=request.id, status=error.kind.grpc, code=error.code, fields=fields))
            )
        except OSError:
            pass  # the service has gone, which the main thread hears
