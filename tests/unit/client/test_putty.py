"""PuTTY's files, read by PuTTY's own tools where they are there."""

import subprocess

import pytest

from teleport.base.disk import SystemDisk
from teleport.base.entropy import SeededEntropy
from teleport.base.errors import BadParameter
from teleport.client import putty
from teleport.client.putty import Session
from teleport.pki import keys
from tests.support import authorities
from tests.support.programs import need

CLUSTER = authorities.cluster()
KEYS = [make(SeededEntropy(seed)) for seed in range(3) for make in (keys.make_ed25519, keys.make_p256)]
SESSION = Session("alice", "node-1.example.com", 3022, "/home/a b/alice.ppk", ("/opt/t sh", "proxy", "%user@%host"))


def certificate(key):
    return CLUSTER.ssh(CLUSTER.identity(), keys.ssh_blob(key.public_key()), now=authorities.NOW).line()


@pytest.mark.parametrize("key", KEYS)
def test_a_key_file_is_what_puttygen_reads(tmp_path, key):
    puttygen = need("puttygen")
    path, line = tmp_path / "key.ppk", certificate(key)
    path.write_bytes(putty.key_file(key, line, "alice\n"))
    path.chmod(0o600)

    def out(kind):
        argv = [puttygen, str(path), "-O", kind, "-o", "/dev/stdout"]
        done = subprocess.run(argv, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    assert line.split()[1] in out("public-openssh")
    plain = subprocess.run(
        [puttygen, str(path), "--remove-certificate", "-O", "private-openssh-new", "-o", str(tmp_path / "plain")],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert plain.returncode == 0, plain.stderr
    read = keys.load_private((tmp_path / "plain").read_bytes())
    assert keys.private_pem(read) == keys.private_pem(key)


def test_a_key_with_zeros_at_its_end(tmp_path):
    """PuTTY's own files have no bytes for them, as the key is a number there; it reads them all the same."""
    from cryptography.hazmat.primitives.asymmetric import ed25519

    key = ed25519.Ed25519PrivateKey.from_private_bytes(b"k" * 30 + b"\0\0")
    test_a_key_file_is_what_puttygen_reads(tmp_path, key)


def test_a_session():
    lines = putty.session_file(SESSION).decode().splitlines()
    assert "HostName=node-1.example.com" in lines
    assert "PortNumber=3022" in lines
    assert "UserName=alice" in lines
    assert "PublicKeyFile=/home/a b/alice.ppk" in lines
    assert "ProxyTelnetCommand='/opt/t sh' proxy %user@%host" in lines


def test_words_of_the_command_come_as_they_are():
    odd = SESSION._replace(command=("/opt/100%/t\\sh", "%user@%host"))
    assert "ProxyTelnetCommand='/opt/100%%/t\\\\sh' %user@%host\n" in putty.session_file(odd).decode()


@pytest.mark.parametrize(
    "session",
    [
        SESSION._replace(key="/a\nProxyTelnetCommand=x"), SESSION._replace(login="$(id)"), SESSION._replace(host="a;b"),
        SESSION._replace(login="-oX"), SESSION._replace(host=""),
    ],
)  # fmt: skip
def test_what_would_be_something_else_to_a_shell_or_a_file_is_refused(session):
    with pytest.raises(BadParameter) as caught:
        putty.session_file(session)
    assert caught.value.code == "CLIENT-PUTTY"


@pytest.mark.parametrize(
    ("name", "written"),
    [("alice@node-1.example.com", "alice@node-1.example.com"), (".x y", "%2Ex%20y"), ("a/é", "a%2F%C3%A9")],
)
def test_names_of_files(name, written):
    assert putty.file_name(name) == written


def test_what_is_saved_and_what_is_left_alone(tmp_path):
    root = str(tmp_path / "putty")
    lines = [keys.ssh_line(keys.ssh_blob(key.public_key())) for key in KEYS[:3]]
    disk = SystemDisk()
    putty.save(disk, root, SESSION, "example.com", lines, "*.example.com")
    (tmp_path / "putty/sshhostcas/mine").write_text("PublicKey=x\n")
    putty.save(disk, root, SESSION, "example.com.au", lines[:1], "*.example.com.au")
    path = putty.save(disk, root, SESSION, "example.com", lines[:2], "*.example.com")
    assert path == f"{root}/sessions/alice@node-1.example.com"
    trusted = tmp_path / "putty/sshhostcas"
    assert sorted(file.name for file in trusted.iterdir()) == [
        "TeleportHostCA-example.com", "TeleportHostCA-example.com-2", "TeleportHostCA-example.com.au", "mine",
    ]  # fmt: skip
    text = (trusted / "TeleportHostCA-example.com").read_text().splitlines()
    assert text[:3] == [f"PublicKey={lines[0].split()[1]}", "Validity=*.example.com", "PermitRSASHA1=0"]
    assert {file.stat().st_mode & 0o777 for file in tmp_path.glob("putty/*/*") if file.name != "mine"} == {0o600}


def test_where_putty_keeps_its_files(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    disk = SystemDisk()
    assert putty.folder({"PUTTYDIR": "/p"}, disk) == "/p"
    assert putty.folder({}, disk) == f"{tmp_path}/.putty"
    (tmp_path / ".config/putty").mkdir(parents=True)
    assert putty.folder({}, disk) == f"{tmp_path}/.config/putty"
    assert putty.folder({"XDG_CONFIG_HOME": f"{tmp_path}/x"}, disk) == f"{tmp_path}/.putty"
