"""tsh puttyconfig as far as no node is needed."""

from tests.support.admin_host import run
from tests.unit.client.test_agent import signed_in_at


def putty(tmp_path, monkeypatch, *words):
    monkeypatch.setenv("TELEPORT_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("PUTTYDIR", str(tmp_path / "putty"))
    if not (tmp_path / "home").exists():
        signed_in_at(tmp_path / "home")
    return run("tsh", "puttyconfig", *words)


def test_files_are_written(tmp_path, monkeypatch):
    done = putty(tmp_path, monkeypatch, "bob@node-1")
    assert (done.status, done.err) == (0, "Start it with: plink -load bob@node-1.example.com\n")
    session = (tmp_path / "putty/sessions/bob@node-1.example.com").read_text()
    key = tmp_path / "home/keys/proxy.example.com/alice.ppk"
    assert f"PublicKeyFile={key}\n" in session
    assert key.stat().st_mode & 0o777 == 0o600
    assert "proxy ssh --cluster=example.com --proxy=proxy.example.com:443 %user@%host:%port\n" in session
    assert "Validity=*.example.com\n" in (tmp_path / "putty/sshhostcas/TeleportHostCA-example.com").read_text()


def test_other_hosts_and_ports(tmp_path, monkeypatch):
    putty(tmp_path, monkeypatch, "bob@node-1.example.com", "--port=22", "--hostca-validity=*.example.com && port:22")
    assert "PortNumber=22\n" in (tmp_path / "putty/sessions/bob@node-1.example.com").read_text()
    assert "&& port:22\n" in (tmp_path / "putty/sshhostcas/TeleportHostCA-example.com").read_text()


def test_what_is_refused(tmp_path, monkeypatch):
    for words, code in (
        (("bob@node-1:22",), "CLIENT-TARGET"), (("b$b@node-1",), "CLIENT-PUTTY"),
        (("bob@node-1", "--leaf=leaf.example.com"), "PROXY-CLUSTER"),
    ):  # fmt: skip
        assert code in putty(tmp_path, monkeypatch, *words).err
