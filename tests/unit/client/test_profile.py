"""Profiles: files and their modes, names that are paths, signing out, damaged files."""

import os
import stat

import pytest

from teleport.base.disk import MemoryDisk, SystemDisk
from teleport.base.errors import BadParameter, NotFound
from teleport.client.profile import Files, Home, address_of, host_of, read, write
from tests.support.signed_in import profile

OTHER = {"web_proxy_addr": "other.example.com:3080", "user": "bob", "cluster": "other.example.com"}


@pytest.fixture
def home():
    return Home("/home/alice/.tsh", MemoryDisk())


def touch(home, made):
    """Write something at every place of a profile, as signing in does."""
    for path in home.files(made).all():
        home.disk.make_dir(os.path.dirname(path))
        home.disk.write(path, b"secret")


def test_saved_profile_is_the_current_one(home):
    home.save(profile())
    assert home.current() == home.load("proxy.example.com") == profile()


def test_modes_of_files_and_folders(tmp_path):
    old = os.umask(0)
    try:
        home = Home(str(tmp_path / "tsh"), SystemDisk())
        touch(home, profile())
        home.save(profile())
    finally:
        os.umask(old)
    for path in tmp_path.joinpath("tsh").rglob("*"):
        assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600), path
    assert stat.S_IMODE((tmp_path / "tsh").stat().st_mode) == 0o700


def test_home_is_chosen_by_the_environment(monkeypatch):
    monkeypatch.setenv("HOME", "/home/alice")
    assert Home.from_environment({}, MemoryDisk()).root == "/home/alice/.tsh"
    assert Home.from_environment({"TELEPORT_HOME": "/x"}, MemoryDisk()).root == "/x"


def test_layout_is_the_one_that_other_tools_expect():
    files = Files("/t", "proxy.example.com", "alice@example.com", "example.com")
    assert files.ssh_key == "/t/keys/proxy.example.com/alice@example.com"
    assert files.ssh_certificate == "/t/keys/proxy.example.com/alice@example.com-ssh/example.com-cert.pub"
    assert files.tls_certificate == "/t/keys/proxy.example.com/alice@example.com.crt"
    assert files.cluster_authorities == "/t/keys/proxy.example.com/cas/example.com.pem"
    assert files.known_hosts == "/t/known_hosts"


GOOD = ["alice@example.com", "a b", "jörg", "alice+bob@x", "a%b", "a'b"]
BAD = [
    "", ".", "..", "../x", "/etc/passwd", "a/b", ".hidden", "a\0b", "a\nb", "a\x1b[2J", '"', "a\\b", "-oProxyCommand=x",
    "cas", "certs.pem", "known_hosts", "x" * 201, "ü" * 101, "a,b", " a", "a\u202eb",
]  # fmt: skip


@pytest.mark.parametrize("user", GOOD)
def test_names_of_users_may_be_addresses(user):
    Files("/t", "proxy", user, "cluster")


@pytest.mark.parametrize("name", BAD)
@pytest.mark.parametrize("place", range(3))
def test_names_that_lead_elsewhere_are_refused(name, place):
    parts = ["proxy", "user", "cluster"]
    parts[place] = name
    with pytest.raises(BadParameter) as caught:
        Files("/t", *parts)
    assert caught.value.code == "CLIENT-PROXY-NAME"


@pytest.mark.parametrize("name", [name for name in BAD if name])
def test_profiles_of_such_names_are_neither_read_nor_listed(home, name):
    home.disk.make_dir(home.root)
    with pytest.raises(BadParameter):
        home.load(name)
    if "/" not in name:
        home.disk.write(f"{home.root}/{name}.yaml", b"{}")
    assert home.proxies() == []


def test_nobody_is_signed_in(home):
    for ask in (home.current, lambda: home.load("proxy.example.com")):
        with pytest.raises(NotFound) as caught:
            ask()
        assert caught.value.code == "CLIENT-NOT-LOGGED-IN"
        assert caught.value.what == "Not logged in."
    assert home.profiles() == []


def test_two_profiles_and_back(home):
    home.save(profile())
    home.save(profile(**OTHER))
    assert [p.user for p in home.profiles()] == ["bob", "alice"]
    assert home.current().user == "bob"
    home.forget(home.current())
    assert [p.user for p in home.profiles()] == ["alice"]
    with pytest.raises(NotFound) as caught:
        home.current()
    assert caught.value.code == "CLIENT-NO-ACTIVE-PROFILE"
    assert "sign-ins at proxy.example.com" in caught.value.why


def test_current_profile_stays_when_another_is_forgotten(home):
    home.save(profile(**OTHER))
    home.save(profile())
    home.forget(profile(**OTHER))
    assert home.current().user == "alice"


def test_signing_out_removes_every_key_and_the_trust(tmp_path):
    home = Home(str(tmp_path), SystemDisk())
    for made in (profile(), profile(**OTHER)):
        touch(home, made)
        home.save(made)
    lines = [f"@cert-authority p,{c},*.{c} ssh-ed25519 AAAA type=host&clustername={c}" for c in ("example.com", "o")]
    (tmp_path / "known_hosts").write_text("\n".join(["typed by hand", *lines]) + "\n")
    home.forget(profile())
    left = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()}
    assert not [path for path in left if "proxy.example.com" in path or "alice" in path]
    assert "keys/other.example.com/bob" in left
    assert (tmp_path / "known_hosts").read_text() == f"typed by hand\n{lines[1]}\n"
    home.forget(profile())


def test_another_user_at_the_same_proxy_leaves_nothing_of_the_first(home):
    touch(home, profile())
    home.save(profile())
    touch(home, profile(user="carol"))
    home.save(profile(user="carol"))
    assert not home.disk.exists(home.files(profile()).ssh_key)
    assert home.disk.exists(home.files(profile()).cluster_authorities)
    assert home.disk.exists(home.files(profile(user="carol")).ssh_key)


DAMAGED = [
    b"", b"{", b"[]", b"{}", b"\xff", b'{"web_proxy_addr":1}', b"name: alice",
    b'{"web_proxy_addr":"nonsense:","user":"a","cluster":"c","valid_until":"2026-03-01T12:00:00Z"}',
    b'{"web_proxy_addr":"proxy.example.com:443","user":"../a","cluster":"c","valid_until":"2026-03-01T12:00:00Z"}',
    b'{"web_proxy_addr":"elsewhere:443","user":"a","cluster":"c","valid_until":"2026-03-01T12:00:00Z"}',
    b'{"web_proxy_addr":"proxy.example.com:443","user":"a","cluster":"c","valid_until":"2026-03-01T12:00:00"}',
]  # fmt: skip


@pytest.mark.parametrize("data", DAMAGED)
def test_damaged_profile_is_named(home, data, caplog):
    home.save(profile())
    home.save(profile(**OTHER))
    home.disk.write(f"{home.root}/proxy.example.com.yaml", data)
    with pytest.raises(BadParameter) as caught:
        home.load("proxy.example.com")
    assert caught.value.code == "CLIENT-PROFILE"
    assert "/home/alice/.tsh/proxy.example.com.yaml" in caught.value.what
    assert [p.user for p in home.profiles()] == ["bob"]
    assert "proxy.example.com.yaml" in str(caplog.records[0].fields["error"])
    assert home.proxies() == ["other.example.com", "proxy.example.com"]


def test_signing_in_again_mends_a_damaged_profile(home):
    home.save(profile())
    home.disk.write(f"{home.root}/proxy.example.com.yaml", b"{")
    home.save(profile())
    assert home.current() == profile()


def test_damaged_name_of_the_current_profile(home):
    home.save(profile())
    home.disk.write(f"{home.root}/current-profile", b"\xff../../etc/passwd")
    with pytest.raises(BadParameter) as caught:
        home.current()
    assert caught.value.code == "CLIENT-PROXY-NAME"


def test_choosing_by_address(home):
    home.save(profile())
    home.save(profile(**OTHER))
    assert home.choose("").user == "bob"
    for name in ("proxy.example.com", "proxy.example.com:443", "https://proxy.example.com/"):
        assert home.choose(name).user == "alice"


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        ("proxy", "proxy", 0),
        ("proxy:3080", "proxy", 3080),
        (" https://proxy.example.com:443/ ", "proxy.example.com", 443),
        ("[::1]:3080", "::1", 3080),
        ("::1", "::1", 0),
        ("10.0.0.1", "10.0.0.1", 0),
    ],
)
def test_address_as_people_write_it(text, host, port):
    assert address_of(text) == (host, port)
    assert host_of(text) == host


@pytest.mark.parametrize("text", ["", "http://proxy", "a b", "proxy:abc", "proxy:70000", "a/b", "user@proxy"])
def test_address_that_is_none(text):
    with pytest.raises(BadParameter) as caught:
        address_of(text)
    assert caught.value.code == "KIND-ADDRESS"


def test_address_of_version_6_is_shown_in_brackets():
    made = profile(web_proxy_addr="[::1]:3080")
    assert (made.proxy_host, made.url) == ("::1", "https://[::1]:3080")


WHOLE = '{"web_proxy_addr":"p:1","user":"a","cluster":"c","valid_until":"2999-01-01T00:00:00Z"}'


@pytest.mark.parametrize(
    "text",
    [
        "[]", "{}", '{"user": 1}', "\xff", "[" * 100_000, '{"web_proxy_addr":"p:1","user":"a","cluster":"c"}',
        *(WHOLE.replace("}", f",{more}}}") for more in (
            '"new":1', '"roles":"a"', '"roles":[1]', '"traits":[]', '"traits":{"a":"b"}', '"critical_options":{"a":1}',
            '"proxy_version":null', '"auth_type":"\\ud800"',
        )),
    ],
)  # fmt: skip
def test_what_no_sign_in_has_written(text: str) -> None:
    with pytest.raises((ValueError, RecursionError)):
        read(text.encode("latin-1"))


def test_there_and_back() -> None:
    made = profile(traits={"team": ("a", "b")}, critical_options={"source-address": "10.0.0.1/32"}, roles=("é",))
    assert read(write(made)) == made
    assert b"auth_type" not in write(made), "what is as usual is not written"
