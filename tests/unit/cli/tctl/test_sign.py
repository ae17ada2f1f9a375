"""tctl auth sign: files and their modes, formats, what is refused before anything is made."""

import datetime as dt
import stat
import subprocess

import pytest

from teleport.base.clock import SystemClock
from teleport.client import identity_file
from teleport.pki import codec, keys, ssh, x509
from tests.support import auth_cluster


@pytest.fixture(scope="module")
def deploy(host):
    """A user who never signs in."""

    async def make(cluster):
        await cluster.admin.create(auth_cluster.user("deploy", "access", logins=("deploy",)))

    host.do(make)
    return host


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


def certificates(host):
    """How many were made so far: refusals must not make any."""
    return len(host.do(lambda cluster: cluster.events("cert.create")))


def test_identity_file_of_a_user(deploy, tmp_path):
    out = tmp_path / "deploy.identity"
    done = deploy.tctl("auth", "sign", "--user=deploy", f"--out={out}", "--ttl=1h")
    first, second = done.out.splitlines()
    assert first == f"The credentials of deploy have been written to: {out}"
    assert second.endswith("who has the files can act as deploy.")
    assert (mode(out), done.err) == (0o600, "")
    _, profile = identity_file.open_home(identity_file.parse(out.read_bytes(), str(out)), str(out), "p:1")
    assert (profile.user, profile.cluster, profile.logins) == ("deploy", "example.com", ("deploy",))
    left = profile.valid_until - SystemClock().now()
    assert dt.timedelta(minutes=50) < left <= dt.timedelta(hours=1)
    event = deploy.do(lambda cluster: cluster.events("cert.create"))[-1]
    assert (event["user"], event["identity"]["user"]) == ("admin@auth-host", "deploy")


def test_openssh_pair_is_what_ssh_keygen_reads(deploy, tmp_path):
    out = tmp_path / "id"
    deploy.tctl("auth", "sign", "--user=deploy", "-o", str(out), "--format=openssh")
    certificate = tmp_path / "id-cert.pub"
    assert (mode(out), mode(certificate)) == (0o600, 0o600)
    public = subprocess.run(["ssh-keygen", "-y", "-f", str(out)], capture_output=True, text=True, check=True).stdout
    read = subprocess.run(["ssh-keygen", "-Lf", str(certificate)], capture_output=True, text=True, check=True).stdout
    assert 'Key ID: "deploy"' in read
    assert keys.load_ssh_line(public) == ssh.parse(keys.load_ssh_line(certificate.read_text())).key


def test_tls_files(deploy, tmp_path):
    deploy.tctl("auth", "sign", "--user=deploy", f"--out={tmp_path}/id", "--format=tls")
    key, certificate, authorities = (tmp_path / f"id.{end}" for end in ("key", "crt", "cas"))
    assert [mode(path) for path in (key, certificate, authorities)] == [0o600] * 3
    parsed = x509.parse(certificate.read_bytes())
    assert codec.from_x509(parsed).name == "deploy"
    assert parsed.public_key() == keys.load_private(key.read_bytes()).public_key()
    assert len(x509.split_pem(authorities.read_text())) == 1


def test_certificates_of_a_host(host, tmp_path):
    out = tmp_path / "host"
    host.tctl("auth", "sign", "--host=build-1.lan, 192.0.2.4", f"--out={out}", "--format=openssh")
    certificate = ssh.parse(keys.load_ssh_line((tmp_path / "host-cert.pub").read_text()))
    assert certificate.type == "host"
    assert {"build-1.lan", "192.0.2.4"} <= set(certificate.principals)


def test_certificates_of_a_database(host, tmp_path):
    """What a database shows is of the authority `db`; what it is to trust is `db_client`, as `auth export` has it."""
    words = ("auth", "sign", "--host=db.example.com,192.0.2.4", f"--out={tmp_path}/server")
    host.tctl(*words, "--format=db", "--ttl=2190h")
    key, certificate, trusted = (tmp_path / f"server.{end}" for end in ("key", "crt", "cas"))
    assert [mode(path) for path in (key, certificate, trusted)] == [0o600] * 3
    parsed = x509.parse(certificate.read_bytes())
    assert parsed.subject.rfc4514_string() == "CN=db.example.com"
    assert parsed.public_key() == keys.load_private(key.read_bytes()).public_key()
    left = parsed.not_valid_after_utc - SystemClock().now()
    assert dt.timedelta(hours=2189) < left <= dt.timedelta(hours=2190)
    (issuer,) = x509.split_pem(host.tctl("auth", "export", "--type=db").out)
    assert x509.is_issued_by(parsed, x509.parse(issuer))
    assert x509.split_pem(trusted.read_text()) == x509.split_pem(host.tctl("auth", "export", "--type=db-client").out)
    event = host.do(lambda cluster: cluster.events("cert.create"))[-1]
    assert (event["cert_type"], event["identity"]["user"]) == ("database", "db.example.com")
    host.tctl(*words, "--format=mongodb", "--overwrite")
    both = certificate.read_bytes()
    assert keys.load_private(both[both.index(b"-----BEGIN PRIVATE") :])
    assert b"-----BEGIN CERTIFICATE" in both
    twelve = x509.parse(both[: both.index(b"-----BEGIN PRIVATE")]).not_valid_after_utc - SystemClock().now()
    assert dt.timedelta(hours=11) < twelve <= dt.timedelta(hours=12)


def test_files_that_exist_are_kept_without_being_asked(deploy, tmp_path):
    out = tmp_path / "deploy"
    out.write_text("mine")
    before = certificates(deploy)
    done = deploy.tctl("auth", "sign", "--user=deploy", f"--out={out}", status=1)
    assert "CLI-SIGN-EXISTS" in done.err
    assert "--overwrite" in done.err
    (tmp_path / "x.cas").write_text("mine")
    assert "x.cas" in deploy.tctl("auth", "sign", "--user=deploy", f"-o{tmp_path}/x", "--format=tls", status=1).err
    assert (out.read_text(), certificates(deploy)) == ("mine", before)
    deploy.tctl("auth", "sign", "--user=deploy", f"--out={out}", "--overwrite")
    assert out.read_text().startswith("-----BEGIN PRIVATE KEY-----")
    assert mode(out) == 0o600


@pytest.mark.parametrize(
    ("words", "code"),
    [
        ((), "CLI-SIGN-WHO"),
        (("--user=deploy", "--host=h"), "CLI-SIGN-WHO"),
        (("--host=,",), "CLI-SIGN-WHO"),
        (("--user=deploy", "--format=kubernetes"), "CLI-SIGN-FORMAT"),
        (("--user=deploy", "--format=db"), "CLI-SIGN-DATABASE"),
        (("--host=a b", "--format=db"), "PKI-X509"),
        (("--host=teleport.cluster.local", "--format=db"), "AUTH-HOST-REQUEST"),
        (("--user=deploy", "--ttl=soon"), "CFG-DURATION"),
        (("--user=nobody",), "POL-NOT-FOUND"),
        (("--host=a b",), "AUTH-HOST-REQUEST"),
    ],
)
def test_what_is_refused_leaves_nothing(deploy, tmp_path, words, code):
    before = certificates(deploy)
    done = deploy.tctl("auth", "sign", *words, f"--out={tmp_path}/out", status=1)
    assert f"code: {code}" in done.err
    assert (list(tmp_path.glob("out*")), certificates(deploy)) == ([], before)


def test_usage(deploy):
    assert "--out" in deploy.tctl("auth", "sign", "--user=deploy", status=2).err
    assert "kubernetes" in deploy.tctl("auth", "sign", "--user=x", "--out=y", "--format=z", status=2).err


def test_shortened_validity_is_told(deploy, tmp_path):
    done = deploy.tctl("auth", "sign", "--user=deploy", f"--out={tmp_path}/long", "--ttl=8760h")
    assert "NOTE: that is earlier than --ttl asks for" in done.err
