"""Whether OpenSSH gets what it needs from an output: a login that the certificate is for, and a command that runs."""

from __future__ import annotations

import os
import re
import shlex

from teleport.bot.doctor.case import Case
from teleport.bot.ssh_files import CONFIG
from teleport.client.doctor.report import Finding
from teleport.model.config.tbot_services import IdentityOutput, SshMultiplexer
from teleport.pki import codec, keys, ssh

_COMMAND = re.compile(r"^[ \t]*ProxyCommand[ \t]+(\S.*)$", re.MULTILINE)


class Look:
    """At one service."""

    def __init__(self, section: IdentityOutput | SshMultiplexer, name: str) -> None:
        self._section = section
        self._check = f"{name} ssh"

    async def run(self, case: Case) -> str | Finding:
        """Reads what was written."""
        place = case.destination(self._section.destination)
        if not place.folder:
            return Finding(self._check, "skip", f"{place} has no ssh_config")
        written = await place.read(CONFIG)
        if written is None:
            return Finding.told(self._check, "SSH-NO-CONFIG", f"{place.folder}/{CONFIG} is not there")
        if problem := _unusable(written.decode(errors="replace"), place.folder):
            return Finding.told(self._check, "SSH-PROXY-CMD", problem, folder=place.folder)
        line = await place.read("key-cert.pub")
        if line is None:  # a multiplexer keeps it to itself
            return f"{CONFIG} is usable"
        logins = codec.from_ssh(ssh.parse(keys.load_ssh_line(line.decode()))).logins
        if case.login and case.login not in logins:
            evidence = f"{case.login} is none of the logins of the certificate: {', '.join(logins) or 'it has none'}"
            return Finding.told(self._check, "SSH-PRINCIPAL", evidence, login=case.login)
        return f"{CONFIG} is usable, for {', '.join(logins) or 'no login'}"


def _unusable(text: str, folder: str) -> str:
    """Return why the command in an `ssh_config` cannot do its work; empty if it can."""
    for found in _COMMAND.finditer(text):
        try:
            words = shlex.split(found[1].replace("%%", "%"))
        except ValueError as error:
            return f"the ProxyCommand cannot be read: {str(error)[:1].lower()}{str(error)[1:]}"
        program = words[0]
        if not os.access(program, os.X_OK):
            return f"the ProxyCommand starts {program}, which cannot be run"
        named = [word.partition("=")[2] for word in words if word.startswith("--destination-dir=")]
        if named and os.path.realpath(named[0]) != os.path.realpath(folder):
            return f"the ProxyCommand reads {named[0]}, the files are in {folder}"
    return "" if _COMMAND.search(text) else "it has no ProxyCommand"
