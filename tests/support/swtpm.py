"""A TPM 2.0 that is a program (swtpm), with a certificate of an authority of the test."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.processes import wait_for
from tests.support.programs import need

_LOCALCA = """statedir = {folder}
signingkey = {folder}/signkey.pem
issuercert = {folder}/issuercert.pem
certserial = {folder}/certserial
"""
_SETUP = """create_certs_tool = {localca}
create_certs_tool_config = {folder}/localca.conf
create_certs_tool_options = {folder}/localca.options
"""


class Swtpm:
    """A chip in a folder: made once, then there whenever it runs."""

    def __init__(self, folder: Path, *, certified: bool = True) -> None:
        """`certified`: its maker has put a certificate into it."""
        self._program = need("swtpm")
        folder.mkdir(parents=True, exist_ok=True)
        self._state = folder / "state"
        self._state.mkdir()
        self.socket = folder / "tpm.sock"
        self._issuer = folder / "issuercert.pem"
        (folder / "localca.conf").write_text(_LOCALCA.format(folder=folder))
        (folder / "localca.options").write_text(
            "--platform-manufacturer Test\n--platform-version 1\n--platform-model T\n"
        )
        (folder / "setup.conf").write_text(_SETUP.format(folder=folder, localca=need("swtpm_localca")))
        how = ["--create-ek-cert"] if certified else []
        made = str(folder / "setup.conf")
        subprocess.run(
            [need("swtpm_setup"), "--tpm2", "--tpmstate", str(self._state), "--config", made, *how],
            check=True, capture_output=True, timeout=120,
        )  # fmt: skip

    @property
    def authority(self) -> str:
        """The certificate (PEM) of who has signed that of the chip."""
        return self._issuer.read_text()

    @contextmanager
    def running(self) -> Iterator[Path]:
        """Have it run; return the Unix socket on which it listens."""
        command = [
            self._program, "socket", "--tpm2", "--tpmstate", f"dir={self._state}", "--server",
            f"type=unixio,path={self.socket}", "--flags", "not-need-init,startup-clear",
        ]  # fmt: skip
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
            try:
                wait_for("the TPM that listens", self.socket.exists, seconds=60)
                yield self.socket
            finally:
                process.kill()
