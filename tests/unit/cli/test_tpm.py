"""tpm identify: what a token of the join method tpm says of this machine."""

import json

import pytest

from teleport.model.token_methods.tpm import Tpm, TpmRule
from tests.support.admin_host import run
from tests.support.swtpm import Swtpm


@pytest.mark.parametrize("program", ["teleport", "tbot"])
def test_without_a_chip_it_says_where_it_looked(program, monkeypatch, tmp_path):
    monkeypatch.setenv("TELEPORT_TPM", str(tmp_path / "none"))
    done = run(program, "tpm", "identify")
    assert (done.status, "NET-TPM" in done.err, str(tmp_path / "none") in done.err) == (1, True, True)


def test_what_it_prints_is_what_a_token_takes(monkeypatch, tmp_path):
    chip = Swtpm(tmp_path)
    with chip.running() as path:
        monkeypatch.setenv("TELEPORT_TPM", str(path))
        text = run("teleport", "tpm", "identify").out
        told = json.loads(run("tbot", "tpm", "identify", "--format=json").out)
    Tpm(ekcert_allowed_cas=(chip.authority,), allow=(TpmRule(**told),)).check()
    assert text == (
        f"TPM Information\nEK Public Hash: {told['ek_public_hash']}\nEK Certificate Detected: true\n"
        f"EK Certificate Serial: {told['ek_certificate_serial']}\n"
    )
