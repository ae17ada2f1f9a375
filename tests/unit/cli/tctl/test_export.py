"""tctl auth export: the forms that OpenSSH and TLS programs read, and what is not given out."""

import subprocess
import sys
import types
from pathlib import Path

import pytest

from teleport.cli.tctl import export
from teleport.pki import keys, x509


def lines(host, *words):
    return host.tctl("auth", "export", *words).out.splitlines()


def test_ssh_lines_say_whose_they_are(host):
    (user,) = lines(host, "--type=user")
    assert user.startswith("cert-authority ssh-ed25519 AAAA")
    assert user.endswith(" type=user&clustername=example.com")
    (known,) = lines(host, "--type=host")
    assert known.startswith("@cert-authority *.example.com ssh-ed25519 AAAA")
    assert lines(host) == [known, user]


def test_openssh_reads_the_line_of_known_hosts(host, tmp_path):
    file = tmp_path / "known_hosts"
    file.write_text(host.tctl("auth", "export", "--type=host").out)
    done = subprocess.run(
        ["ssh-keygen", "-F", "node-1.example.com", "-f", str(file)], capture_output=True, text=True, check=True
    )  # fmt: skip
    assert "CA" in done.stdout


@pytest.mark.parametrize("kind", ["host", "user"])
def test_certificates_of_authorities(host, kind):
    (der,) = x509.split_pem(host.tctl("auth", "export", f"--type=tls-{kind}").out)
    pinned = host.tctl("status").out
    assert (x509.pin(der) in pinned) == (kind == "host")
    assert host.tctl("auth", "export", f"--type=tls-{kind}", "--fingerprint", x509.pin(der)).out


def test_fingerprint_selects(host):
    (user,) = lines(host, "--type=user")
    print_of_user = keys.fingerprint(keys.load_ssh_line(user.removeprefix("cert-authority ")))
    assert lines(host, "--fingerprint", print_of_user) == [user]
    done = host.tctl("auth", "export", "--type=host", "--fingerprint", print_of_user, status=1)
    assert "CLI-EXPORT-NONE" in done.err


def test_what_is_not_there_or_not_given(host):
    for kind in ("tls-spiffe", "saml-idp"):
        assert "CLI-EXPORT-NONE" in host.tctl("auth", "export", f"--type={kind}", status=1).err
    done = host.tctl("auth", "export", "--type=user", "--keys", status=1)
    assert "CLI-EXPORT-KEYS" in done.err
    assert done.out == ""


def test_der_goes_to_no_terminal(host, monkeypatch):
    terminal = types.SimpleNamespace(stdout=types.SimpleNamespace(isatty=lambda: True))
    monkeypatch.setattr(export, "sys", terminal)
    assert "CLI-BINARY" in host.tctl("auth", "export", "--type=tls-user-der", status=1).err


def test_der_goes_to_a_pipe(host):
    argv = [Path(sys.executable).parent / "tctl", "-c", host.config, "auth", "export", "--type=tls-user-der"]
    done = subprocess.run(argv, capture_output=True, check=True, timeout=60)
    assert x509.pem(done.stdout) == host.tctl("auth", "export", "--type=tls-user").out
