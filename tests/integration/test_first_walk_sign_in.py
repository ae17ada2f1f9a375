"""Sign-up by a link, sign-in with a password and a code, and that no secret of either is left lying about."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tests.support.authenticator import Authenticator
from tests.support.cluster import BIN, OWN, PASSWORD, Cluster, User, link_in, loopback_with
from tests.support.processes import tree
from tests.support.terminal import Terminal


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """The proxy has the usual port 3080, on an address of loopback of its own; everything is logged."""
    folder = tmp_path_factory.mktemp("sign-in")
    with Cluster(folder, web=loopback_with(3080)).running("-d") as running:
        running.teleport("debug", "set-log-level", "TRACE")
        running.role("walker", logins=["{{internal.logins}}"])
        yield running


def address(cluster: Cluster) -> str:
    """Return the proxy's host without its port."""
    return cluster.public.rpartition(":")[0]


def test_an_invite_is_used_up_by_its_success_alone(cluster: Cluster) -> None:
    """Looking, mistakes and foreign sites leave the link as it is; the successful form burns it."""
    link = cluster.invite("ines", ["walker"])
    browser, stranger = cluster.browser(), cluster.browser()
    for _ in range(5):
        page = browser.get(link)
        assert (page.status, page.heading) == (200, "Welcome, ines")
    phone = Authenticator(page.secret)
    form = {"csrf": page.csrf, "password": PASSWORD, "again": PASSWORD, "code": phone.code()}

    without_cookie = stranger.post(link, form)
    assert (without_cookie.status, "WEB-CSRF" in without_cookie.text) == (403, True)
    assert browser.post(link, form | {"csrf": "0" * 64}).status == 403
    assert browser.post(link, form, **{"Sec-Fetch-Site": "cross-site"}).status == 403
    assert "WEB-PASSWORDS-DIFFER" in browser.post(link, form | {"again": "another one"}).text
    short = browser.post(link, form | {"password": "short", "again": "short"})
    assert (short.status, "AUTH-PASSWORD-LENGTH" in short.text) == (400, True)

    wrong = browser.post(link, form | {"code": "000000"})
    assert (wrong.status, "AUTH-CODE" in wrong.text, wrong.secret) == (400, True, page.secret)
    form["code"] = phone.code()  # the mistakes may have taken longer than a code lasts
    assert browser.post(link, form).heading == "Your password is set"
    cluster.phones["ines"] = phone
    second = browser.post(link, form)
    assert (second.status, "AUTH-INVITE" in second.text) == (404, True)
    assert stranger.get(link).status == 404
    User(cluster, "ines").sign_in()


def test_a_link_has_the_public_address_and_an_end(cluster: Cluster) -> None:
    """The link leads to the public address with 256 random bits; a newer link replaces it; a link cannot be
    valid for longer than the limit."""
    said = cluster.tctl("users", "add", "udo", "--roles=walker", "--ttl=90s")
    assert re.fullmatch(rf"https://{re.escape(cluster.public)}/web/invite/[0-9a-f]{{64}}", link_in(said.out))
    newer = link_in(cluster.tctl("users", "reset", "udo").out)
    assert newer.startswith(f"https://{cluster.public}/web/reset/")
    browser = cluster.browser()
    replaced, unknown = browser.get(link_in(said.out)), browser.get(f"https://{cluster.public}/web/invite/{'0' * 64}")
    assert replaced == unknown, "a used link and one that never was look alike"
    assert browser.set_password(newer, PASSWORD).status == 200
    assert "AUTH-INVITE-TTL" in cluster.tctl("users", "reset", "udo", "--ttl=999h", status=1).err


def test_a_reset_ends_the_old_password(cluster: Cluster) -> None:
    """After a reset neither the old password nor an open session of it at the web signs in."""
    user = cluster.sign_up("rosa", ["walker"])
    link = link_in(cluster.tctl("users", "reset", "rosa").out)
    assert "AUTH-LOGIN" in user.sign_in(status=1, code="000000").err
    assert cluster.browser().set_password(link, PASSWORD + " 2").status == 200
    assert "AUTH-LOGIN" in user.sign_in(status=1, code="000000").err
    user.password = PASSWORD + " 2"
    user.sign_in()


def test_wrong_password_and_unknown_user_are_alike(cluster: Cluster) -> None:
    """A wrong password, a wrong code, an unknown user and a user without a password give byte-identical errors,
    at the command and at the endpoint."""
    cluster.sign_up("willi", ["walker"])
    keys = _public_keys(cluster.folder / "home-willi")
    cluster.invite("nopass", ["walker"])
    names = ("willi", "nobody-of-that-name", "nopass")
    errors = {
        User(cluster, name, "not the password").sign_in(status=1, code="000000")._replace(out="") for name in names
    }
    assert len(errors) == 1
    assert "invalid username, password or second factor" in errors.pop().err
    browser, url = cluster.browser(), f"https://{cluster.public}/webapi/mfa/login/finish"
    tries = [(name, "not the password", "000000") for name in names] + [("willi", PASSWORD, "000000")]
    answers = {browser.send(url, _body(user=u, password=p, totp_code=c, **keys)) for u, p, c in tries}
    assert [answer.status for answer in answers] == [401]
    begun = {browser.send(url.replace("finish", "begin"), _body(user=u, **{"pass": p})) for u, p, _ in tries}
    assert [json.loads(answer.text) for answer in begun] == [{"totp_challenge": True}]
    old = {browser.send(f"https://{cluster.public}/webapi/ssh/certs", _body(user=u, password=p, **keys))
           for u, p, _ in tries}  # fmt: skip
    assert len(old) == 1
    assert "AUTH-MFA-REQUIRED" in old.pop().text


def _body(**fields: str) -> bytes:
    return json.dumps(fields).encode()


def _public_keys(home: Path) -> dict[str, str]:
    """Return the two public keys of a sign-in, as a program sends them."""
    (ssh,) = home.glob("keys/*/willi.pub")
    (tls,) = home.glob("keys/*/willi.crt")
    key = x509.load_pem_x509_certificate(tls.read_bytes()).public_key()
    pem = key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    return {"ssh_pub_key": ssh.read_text().strip(), "tls_pub_key": pem}


def test_login_prompts_on_the_terminal_and_finds_the_port(cluster: Cluster) -> None:
    """S0-01: `tsh login --proxy=<host> --user=<name>` finds the proxy's port, prompts without echo, stores
    profile and certificates, prints the status and ends with 0."""
    name = "email@example.com"
    assert cluster.browser().set_password(cluster.invite(name, ["walker"], [OWN]), PASSWORD).status == 200
    home = cluster.folder / "home-terminal"
    argv = [str(BIN / "tsh"), "login", f"--proxy={address(cluster)}", f"--user={name}"]
    with Terminal(argv, cluster.environment("terminal")) as terminal:
        terminal.answer(f"Enter password for Teleport user {name}: ", PASSWORD)
        terminal.answer("Enter an OTP code from a device: ", code := User(cluster, name).code())
        shown = terminal.rest()
    assert PASSWORD not in shown
    assert code not in shown
    assert f"Profile URL:        https://{cluster.public}" in shown
    assert f"Logged in as:       {name}" in shown
    assert "[valid for " in shown
    folder = home / "keys" / address(cluster)
    assert (home / f"{address(cluster)}.yaml").is_file()
    for file in (folder / name, folder / f"{name}.key", folder / f"{name}.crt", folder / "certs.pem"):
        assert file.stat().st_mode & 0o777 == 0o600, file
    assert next((folder / f"{name}-ssh").iterdir()).name.endswith("-cert.pub")


def test_secrets_stay_where_they_belong(cluster: Cluster) -> None:
    """Password, link, the app's secret and private keys are in no log line (TRACE), no command line, no environment
    of the server, no audit event; the store has the app's secret alone."""
    secret = "a very secret passphrase 4711"
    link = cluster.invite("sina", ["walker"], [OWN])
    assert cluster.browser().set_password(link, secret).status == 200
    User(cluster, "sina", secret[:-1]).sign_in(status=1)
    sina = User(cluster, "sina", secret)
    sina.sign_in()
    with sina.session():
        family = tree(cluster.pid)
        shown = "".join(
            Path(f"/proc/{process.pid}/{what}").read_bytes().decode(errors="replace")
            for process in family
            for what in ("cmdline", "environ")
        )
    assert len(family) >= 4, "server, signer, spawner and the session's command"
    audit = cluster.tctl("audit", "search", "--limit=10000", "--format=json").out
    store = b"".join(path.read_bytes() for path in (cluster.data / "backend").iterdir())
    needles = {"password": secret, "almost the password": secret[:-1], "link": link.rpartition("/")[2]}
    for path in [*(cluster.folder / "home-sina").glob("keys/*/sina"), *_files(cluster.data / "keys")]:
        needles[str(path)] = _heart(path.read_text())
    assert len(needles) >= 6
    assert "DEBU" in cluster.log
    assert link.rpartition("/")[0].rpartition("/")[2] == "invite"
    phone = cluster.phones["sina"].secret
    needles |= {"device": base64.b32encode(phone).decode(), "device, as it is stored": base64.b64encode(phone).decode()}
    for name, needle in needles.items():
        for where, text in (("log", cluster.log + cluster.output), ("processes", shown), ("audit", audit)):
            assert needle not in text, f"{name} is in {where}"
        assert needle.encode() not in store or "stored" in name, f"{name} is in the store"
    assert base64.b16encode(bytes.fromhex(needles["link"])) not in store


def _files(folder: Path) -> list[Path]:
    return [path for path in folder.iterdir() if path.is_file()]


def _heart(pem: str) -> str:
    """Return a part of a PEM key that is not the same for all keys."""
    lines = [line for line in pem.splitlines() if line and "-----" not in line and " " not in line]
    return max(lines, key=len)[-30:]
