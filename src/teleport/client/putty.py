"""PuTTY's files: a private key with its certificate (PPK), saved sessions, and who may vouch for hosts.

What is here: the forms that PuTTY 0.78 and later read on Unix (its manual, appendix C, for PPK version 3; the keys of
sessions as its own files show them). What is not: which node is meant. Files of PuTTY that are not ours are left alone.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from cryptography.hazmat.primitives.asymmetric import ed25519

from teleport.base.disk import Disk
from teleport.base.errors import BadParameter
from teleport.client.ssh_config import shell_word
from teleport.pki import keys
from teleport.pki.ssh_wire import Reader, mpint, string

_LINE = 64
"""Characters of base64 in a line of a key."""
_LOCAL_COMMAND = 5
"""ProxyMethod: what a command reads and writes."""
_PLAIN = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_@+")
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.@+-]*")
_AUTHORITY = "TeleportHostCA-"


def key_file(key: keys.PrivateKey, certificate: str, comment: str) -> bytes:
    """Return a private key with its certificate (a line) as an unencrypted PPK of version 3.

    Raises BadParameter (PKI-KEY) for a line that is none.
    """
    blob = keys.load_ssh_line(certificate)
    kind = Reader(blob).string()
    if isinstance(key, ed25519.Ed25519PrivateKey):
        private = string(key.private_bytes_raw())  # a number, its lowest byte first
    else:
        private = mpint(key.private_numbers().private_value)
    note = "".join(char for char in comment if char.isprintable() and char.isascii())
    sealed = b"".join(string(part) for part in (kind, b"none", note.encode(), blob, private))
    mac = hmac.new(b"", sealed, hashlib.sha256).hexdigest()  # without a passphrase the key is empty
    lines = [
        f"PuTTY-User-Key-File-3: {kind.decode()}", "Encryption: none", f"Comment: {note}",
        *_lines("Public", blob), *_lines("Private", private), f"Private-MAC: {mac}", "",
    ]  # fmt: skip
    return "\n".join(lines).encode()


def _lines(which: str, blob: bytes) -> list[str]:
    text = base64.b64encode(blob).decode()
    lines = [text[at : at + _LINE] for at in range(0, len(text), _LINE)]
    return [f"{which}-Lines: {len(lines)}", *lines]


class Session(NamedTuple):
    """What a saved session is for."""

    login: str
    host: str
    """A name that the node's certificate has."""
    port: int
    key: str
    """Path of the PPK."""
    command: Sequence[str]
    """What leads to the node; `%user`, `%host` and `%port` in its last word stand for themselves."""

    @property
    def name(self) -> str:
        """What PuTTY lists it as."""
        return f"{self.login}@{self.host}"


def session_file(session: Session) -> bytes:
    """Return the content of a saved session. Raises BadParameter (CLIENT-PUTTY)."""
    for field, value in (("login", session.login), ("host", session.host)):
        if not _NAME.fullmatch(value):  # PuTTY puts them into a line for the shell as they are
            raise BadParameter("CLIENT-PUTTY", field=field)
    *words, last = session.command
    command = " ".join([*(_escaped(shell_word(word)) for word in words), last])
    values = {
        "Protocol": "ssh", "HostName": session.host, "PortNumber": session.port, "UserName": session.login,
        "PublicKeyFile": session.key, "ProxyMethod": _LOCAL_COMMAND, "ProxyTelnetCommand": command,
        "ProxyUsername": session.login, "ProxyLocalhost": 1, "AuthKI": 0, "TryAgent": 0,
    }  # fmt: skip
    return _rendered(values)


def authority_file(key: str, validity: str) -> bytes:
    """Return the record of a key (in the form of public key files) that may vouch for the hosts of an expression."""
    blob = base64.b64encode(keys.load_ssh_line(key)).decode()
    values = {
        "PublicKey": blob, "Validity": validity, "PermitRSASHA1": 0, "PermitRSASHA256": 1, "PermitRSASHA512": 1,
    }  # fmt: skip
    return _rendered(values)


def file_name(name: str) -> str:
    """Return a name of PuTTY as it writes it into file names."""
    return "".join(
        char if char in _PLAIN or (char == "." and at) else "".join(f"%{byte:02X}" for byte in char.encode())
        for at, char in enumerate(name)
    )


def folder(environment: Mapping[str, str], disk: Disk) -> str:
    """Return where PuTTY on Unix keeps its files: PUTTYDIR, else the first that is there, else `~/.putty`."""
    if chosen := environment.get("PUTTYDIR"):
        return os.path.abspath(chosen)
    home = os.path.expanduser("~")
    config = environment.get("XDG_CONFIG_HOME") or f"{home}/.config"
    usual = f"{home}/.putty"
    return next((path for path in (f"{config}/putty", usual) if disk.exists(path)), usual)


def save(disk: Disk, root: str, session: Session, cluster: str, authorities: Sequence[str], validity: str) -> str:
    """Write a session and the authorities of its cluster; return the file of the session. Raises DISK-*."""
    for name in ("", "/sessions", "/sshhostcas"):
        disk.make_dir(root + name)
    trusted = f"{root}/sshhostcas"
    written = {}
    for number, key in enumerate(authorities, 1):
        name = _AUTHORITY + cluster + (f"-{number}" if number > 1 else "")
        written[file_name(name)] = authority_file(key, validity)
    for old in disk.list_dir(trusted):
        if old not in written and _is_authority(old, cluster):  # what was rotated away vouches for nobody
            disk.remove(f"{trusted}/{old}")
    for name, data in written.items():
        disk.write(f"{trusted}/{name}", data)
    path = f"{root}/sessions/{file_name(session.name)}"
    disk.write(path, session_file(session))
    return path


def _is_authority(name: str, cluster: str) -> bool:
    start = file_name(_AUTHORITY + cluster)
    rest = name.removeprefix(start)
    return name.startswith(start) and (not rest or (rest[0] == "-" and rest[1:].isdigit()))


def _rendered(values: Mapping[str, object]) -> bytes:
    for name, value in values.items():
        if not str(value).isprintable():
            raise BadParameter("CLIENT-PUTTY", field=name)
    return "".join(f"{name}={value}\n" for name, value in values.items()).encode()


def _escaped(word: str) -> str:
    """Write a word so that PuTTY hands it to the shell as it is."""
    return word.replace("\\", "\\\\").replace("%", "%%")
