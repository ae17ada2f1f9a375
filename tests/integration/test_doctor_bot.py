"""`tbot doctor`: each state that is put into a bot of a real cluster gets its right name, cause and fix, and a bot that
is well gets none. Symptoms of the guide to machine identity are named by their codes (field reference, section 8)."""

from __future__ import annotations

import asyncio
import copy
import datetime as dt
import json
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from teleport.api.bot_calls import BotCalls
from teleport.api.bot_messages import Renewal
from teleport.base import log
from teleport.base.clock import SystemClock
from teleport.base.entropy import SystemEntropy
from teleport.base.errors import TeleportError
from teleport.bot.destinations import make
from teleport.bot.doctor import assembly
from teleport.bot.doctor import identity as stored
from teleport.bot.held import make_key, public_keys
from teleport.bot.parts import Held
from teleport.bot.storage import Found, Next, Storage, position
from teleport.cli.tbot import doctor as command
from teleport.cli.tbot.doctor import doctor
from teleport.cli.tbot.world import world
from teleport.client.doctor.report import Finding
from teleport.model.config import tbot_yaml
from teleport.model.config.tbot_destinations import DirectoryDestination
from tests.support.cluster import NAME, Cluster
from tests.support.ports import free_ports
from tests.support.pretenders import json_page, saying, speaking, web_server
from tests.support.processes import wait_for
from tests.support.tbot import Machine, identity_in, instances, make_bot, new_token
from tests.support.tls import Authority

HEALTHY = 100 if os.environ.get("TELEPORT_SOAK") else 2
"""Runs without a fault; 100 in the soak."""
Findings = dict[str, dict[str, Any]]


class Patient:
    """A bot's configuration and folders, of which nobody else knows."""

    def __init__(self, machine: Machine, folder: Path) -> None:
        """Copy a bot that is well, with everything that it has."""
        self._machine = machine
        self.folder = folder
        self.storage, self.out, self.file = folder / "storage", folder / "out", folder / "tbot.yaml"
        self.settings = copy.deepcopy(machine.settings)
        self.settings["storage"]["path"] = str(self.storage)
        self.settings["services"][0]["destination"]["path"] = str(self.out)
        for former, new in ((machine.storage, self.storage), (machine.out, self.out)):
            shutil.copytree(former, new)
        for config in self.out.glob("*ssh_config"):
            config.write_text(config.read_text().replace(str(machine.out), str(self.out)))

    @property
    def output(self) -> dict[str, Any]:
        """The only entry of `services`."""
        found: dict[str, Any] = self.settings["services"][0]
        return found

    def tbot(self, *words: str, status: int | None = 0) -> str:
        """Run `tbot start` with its configuration, once."""
        self.file.write_text(json.dumps(self.settings))
        return self._machine.run("start", "-c", str(self.file), "--oneshot", *words, status=status).err

    def examine(self, *options: str, status: int | None = None) -> Findings:
        """Return what `tbot doctor` finds, by the names of the checks."""
        self.file.write_text(json.dumps(self.settings))
        words = ["-c", str(self.file), "--format=json", *options]
        done = CliRunner(env=self._machine.env()).invoke(doctor, words)  # a process for each look takes too long
        assert done.stdout, (done.stderr, done.exception)
        report = json.loads(done.stdout)
        assert done.exit_code == (1 if report["failed"] else 0)
        assert status in (None, done.exit_code)
        return {finding["check"]: finding for finding in report["findings"]}

    def wrong(self, *options: str) -> list[tuple[str, str]]:
        """Return check and code of everything that is wrong; each has evidence, a cause and a fix."""
        found = [each for each in self.examine(*options).values() if each["state"] in ("fail", "warn")]
        assert all(each["evidence"] and each["cause"] and each["fix"] for each in found), found
        return [(each["check"], each["code"]) for each in found]


class Stage:
    """A cluster with a bot that is well."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        cluster.role("access", logins=["alice"])
        self.machine = Machine(cluster, "example", make_bot(cluster, "example", "access"))
        self.machine.once()

    def patient(self, folder: Path) -> Patient:
        """Return a copy of the bot that is well."""
        return Patient(self.machine, folder)

    def other(self, folder: Path, name: str, *roles: str, **settings: Any) -> Patient:
        """Return a bot of its own that has run once: for states that the cluster has to know of."""
        machine = Machine(self.cluster, name, make_bot(self.cluster, name, *(roles or ("access",))))
        machine.settings |= settings
        machine.once()
        return Patient(machine, folder)


@pytest.fixture(autouse=True)
def _level() -> Iterator[None]:
    former = log.get_level()
    yield
    log.set_level(former)


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    cluster = Cluster(tmp_path_factory.mktemp("bots"))
    with cluster.running():
        yield Stage(cluster)


@pytest.fixture
def patient(stage: Stage, tmp_path: Path) -> Patient:
    return stage.patient(tmp_path)


def test_a_bot_that_is_well_gets_nothing(stage: Stage, patient: Patient) -> None:
    for _ in range(HEALTHY):
        found = patient.examine(status=0)
        assert {each["state"] for each in found.values()} == {"ok"}, found
    text = stage.machine.run("doctor", "-c", str(patient.file), "--login=alice").out.splitlines()
    assert text[0] == f"bot of {patient.file}"
    assert text[-1] == "everything that was looked at is well"


def test_a_bot_that_runs_is_well(stage: Stage) -> None:
    with stage.machine.running() as bot:
        bot.await_line("Task succeeded")
        done = stage.machine.run("doctor", "-c", str(stage.machine.file), "--format=json")
        assert {each["state"] for each in json.loads(done.out)["findings"]} == {"ok"}


# -- configuration


def unknown_key(settings: dict[str, Any]) -> None:
    settings["proxi_server"] = "x"


def two_servers(settings: dict[str, Any]) -> None:
    settings["auth_server"] = "127.0.0.1:3025"


def no_server(settings: dict[str, Any]) -> None:
    del settings["proxy_server"]


def shared_destination(settings: dict[str, Any]) -> None:
    settings["services"].append({**settings["services"][0], "name": "second"})


def short_life(settings: dict[str, Any]) -> None:
    settings["credential_ttl"] = "10m"


@pytest.mark.parametrize(
    ("spoil", "code"),
    [
        (unknown_key, "TBOT-PROBLEMS"), (two_servers, "TBOT-TWO-SERVERS"), (no_server, "BOT-NO-SERVER"),
        (shared_destination, "OUT-SHARED-DEST"), (short_life, "TBOT-SHORT-TTL"),
    ],
)  # fmt: skip
def test_configurations(patient: Patient, spoil: Callable[[dict[str, Any]], None], code: str) -> None:
    spoil(patient.settings)
    assert patient.wrong()[0] == ("config", code)


# -- storage


def test_others_may_read_the_storage(patient: Patient) -> None:
    os.chmod(patient.storage, 0o755)  # noqa: S103 - what is looked for
    assert patient.wrong() == [("storage", "BOT-STORAGE-OPEN")]
    os.chmod(patient.storage, 0o700)
    os.chmod(patient.storage / "key", 0o644)
    assert patient.wrong() == [("storage", "BOT-STORAGE-OPEN")]
    os.chmod(patient.storage, 0o755)  # noqa: S103 - both: what is found first must not hide the other
    fix = patient.examine()["storage"]["fix"]
    assert f"chmod 0700 {patient.storage}; chmod 0600 {patient.storage / 'key'}" in fix
    mended = patient.examine("--fix", status=0)
    assert mended["storage"]["state"] == "ok"
    assert patient.storage.stat().st_mode & 0o777 == 0o700
    assert (patient.storage / "key").stat().st_mode & 0o777 == 0o600


def test_a_renewal_whose_end_was_not_seen(patient: Patient) -> None:
    """BOT-SAVE-CRASH: what a bot leaves that is killed after it has stored its next key; the next start goes on."""

    async def leave() -> None:
        place = make(DirectoryDestination(path=str(patient.storage)))
        held = (await stored.load(place)).held
        assert held is not None
        await Storage(place).expect(Next(key=make_key(SystemEntropy()), follows=position(held)), None, "")

    asyncio.run(leave())
    assert patient.wrong() == [("standing", "BOT-SAVE-CRASH")]


@pytest.mark.parametrize(
    ("file", "content", "code"),
    [("tlscert", b"spoilt", "BOT-STORAGE-CORRUPT"), ("key-cert.pub", None, "BOT-STORAGE-INCOMPLETE")],
)
def test_a_damaged_identity(patient: Patient, file: str, content: bytes | None, code: str) -> None:
    (patient.storage / file).unlink()
    if content is not None:
        (patient.storage / file).write_bytes(content)
        (patient.storage / file).chmod(0o600)
    assert patient.wrong()[0] == ("identity", code)


def test_files_of_two_identities(patient: Patient) -> None:
    (patient.storage / "key").write_bytes((patient.out / "key").read_bytes())
    assert patient.wrong()[0] == ("identity", "BOT-STORAGE-MIXED")
    for name in ("key-cert.pub", "tlscert"):
        shutil.copy(patient.out / name, patient.storage / name)
    assert patient.wrong("--only=identity")[0] == ("identity", "BOT-STORAGE-OUTPUT")


def test_a_storage_in_memory(patient: Patient) -> None:
    patient.settings["storage"] = {"type": "memory"}
    assert patient.wrong() == [("storage", "BOT-STORAGE-MEMORY")]


def test_no_token_and_nothing_joined(patient: Patient, tmp_path: Path) -> None:
    patient.settings["storage"]["path"] = str(tmp_path / "new")
    patient.settings["onboarding"] = {}
    assert ("token", "BOT-NO-TOKEN") in patient.wrong()
    patient.settings["onboarding"] = {"token": str(tmp_path / "missing"), "join_method": "token"}
    assert ("token", "DISK-MISSING") in patient.wrong()


def test_another_tbot_on_the_storage(stage: Stage, patient: Patient) -> None:
    """BOT-DIR-SHARED, and BOT-ONBOARD-IGNORED: a bot that runs has not seen its new token."""
    with stage.machine.running() as bot:
        bot.await_line("Task succeeded")
        patient.settings["storage"]["path"] = str(stage.machine.storage)
        patient.file = patient.folder / "other.yaml"
        assert patient.wrong() == [("sharing", "BOT-DIR-SHARED")]
        patient.file = patient.folder / "tbot.yaml"
        patient.settings["onboarding"]["token"] = "another-token"
        assert patient.wrong() == [("token", "BOT-ONBOARD-IGNORED")]


def test_a_storage_of_another_machine(patient: Patient) -> None:
    """BOT-DIR-COPIED."""
    (patient.storage / "lock").write_text("1 elsewhere\n")
    assert patient.wrong() == [("sharing", "BOT-DIR-COPIED")]


# -- what the cluster says


def test_certificates_that_have_ended(stage: Stage, patient: Patient, monkeypatch: pytest.MonkeyPatch) -> None:
    """BOT-IDENT-EXPIRED and OUT-EXPIRED, as both are found two hours later; CLOCK-SKEW as they are found two hours
    before."""
    for hours, code in ((2, "BOT-IDENT-EXPIRED"), (-2, "CLOCK-SKEW")):
        monkeypatch.setattr(command, "world", lambda: replace(world(), clock=Shifted(hours)))  # noqa: B023
        assert patient.wrong("--only=identity") == [("identity", code)]
        found = patient.wrong("--only=identity-output-1")
        assert found == ([("identity-output-1", "OUT-EXPIRED")] if hours > 0 else [])
    assert "tctl bots instances add example" in Finding.told("x", "BOT-IDENT-EXPIRED", "", bot="example").fix


class Shifted(SystemClock):
    """A clock that is wrong."""

    def __init__(self, hours: int) -> None:
        self._by = dt.timedelta(hours=hours)

    def now(self) -> dt.datetime:
        return super().now() + self._by


def _of(found: list[tuple[str, str]], code: str) -> list[tuple[str, str]]:
    return found if code in [each for _, each in found] else []


def test_a_bot_that_an_administrator_has_locked(stage: Stage, tmp_path: Path) -> None:
    """BOT-LOCKED."""
    patient = stage.other(tmp_path, "idle")
    stage.cluster.tctl("lock", "--user=bot-idle", "--message=not now")
    found = wait_for("the lock", lambda: _of(patient.wrong(), "BOT-LOCKED"))
    assert found == [("standing", "BOT-LOCKED")]
    assert "not now" in patient.examine()["standing"]["evidence"]


def test_a_copy_that_was_renewed(stage: Stage, tmp_path: Path) -> None:
    """BOT-UNLOCK-INCOMPLETE before and after; BOT-GEN-MISMATCH of a copy on the same machine, as administrators see it:
    whether or not this machine knows more."""
    patient = stage.other(tmp_path, "copied")
    shutil.copytree(patient.storage, tmp_path / "former")
    patient.tbot()
    patient.settings["storage"]["path"] = str(tmp_path / "former")
    assert patient.wrong() == [("standing", "BOT-UNLOCK-INCOMPLETE")]
    patient.tbot(status=1)  # now both have renewed
    found = wait_for("the lock", lambda: _of(patient.wrong(), "BOT-GEN-MISMATCH"))
    assert found == [("standing", "BOT-GEN-MISMATCH")]
    assert verdict(stage.cluster, "copied") in patient.examine()["standing"]["evidence"]
    (tmp_path / "former" / "lock").write_text("1 elsewhere\n")
    assert patient.wrong() == [("sharing", "BOT-DIR-COPIED"), ("standing", "BOT-GEN-MISMATCH")]
    (lock,) = [each for each in locks(stage.cluster) if "copied" in json.dumps(each)]
    stage.cluster.tctl("rm", f"lock/{lock['metadata']['name']}")
    (tmp_path / "former" / "lock").unlink()
    found = wait_for("the end of the lock", lambda: _of(patient.wrong(), "BOT-UNLOCK-INCOMPLETE"))
    assert found == [("standing", "BOT-UNLOCK-INCOMPLETE")]


def test_certificates_that_another_machine_has(stage: Stage, tmp_path: Path) -> None:
    """BOT-STOLEN: doctor, `tbot recover` and `tctl bots recover` say it alike."""
    patient = stage.other(tmp_path, "stolen")
    held = asyncio.run(stored.load(make(DirectoryDestination(path=str(patient.storage))))).held
    patient.tbot()
    assert "generation mismatch" in asyncio.run(renewed_elsewhere(patient, held))
    found = wait_for("the lock", lambda: _of(patient.wrong(), "BOT-STOLEN"))
    assert found == [("standing", "BOT-STOLEN")]
    said = verdict(stage.cluster, "stolen")
    assert said in patient.examine()["standing"]["evidence"]
    assert said in patient._machine.run("recover", "-c", str(patient.file), status=1).out


async def renewed_elsewhere(patient: Patient, held: Held | None) -> str:
    """Renew as a machine of another name would with certificates that it has; return with which words that fails."""
    patient.file.write_text(json.dumps(patient.settings))
    case = assembly.case("", tbot_yaml.read(patient.file.read_text(), "tbot.yaml"), world())
    case.found = Found(held, None)
    line, pem = public_keys(make_key(SystemEntropy()))
    async with case.bot.client() as client:
        with pytest.raises(TeleportError) as caught:
            await BotCalls(client).renew(Renewal(ssh_public_key=line, tls_public_key=pem, hostname="elsewhere"))
    return caught.value.what


def verdict(cluster: Cluster, bot: str) -> str:
    """Return what `tctl bots recover` shows to administrators, who then think better of it."""
    told = cluster.tctl("bots", "recover", bot, stdin="n\n", status=1).out
    return told.partition("Verdict:")[2].splitlines()[0].strip()


def locks(cluster: Cluster) -> list[dict[str, Any]]:
    found = json.loads(cluster.tctl("get", "locks", "--format=json").out)
    return found if isinstance(found, list) else [found]


def test_a_bot_that_was_removed(stage: Stage, tmp_path: Path) -> None:
    patient = stage.other(tmp_path, "gone")
    stage.cluster.tctl("bots", "rm", "gone")
    found = wait_for("the end", lambda: [each for each in patient.wrong() if each[0] == "standing"])
    assert found == [("standing", "AUTH-BOT-GONE")]


def test_an_instance_that_was_removed(stage: Stage, tmp_path: Path) -> None:
    patient = stage.other(tmp_path, "orphan")
    (instance,) = instances(stage.cluster, "orphan")
    stage.cluster.tctl("rm", f"bot_instance/orphan/{instance}")
    found = wait_for("the end", lambda: [each for each in patient.wrong() if each[0] == "standing"])
    assert found == [("standing", "AUTH-BOT-NO-INSTANCE")]


def test_authorities_of_another_cluster(patient: Patient) -> None:
    """Who answers cannot be recognised: the bot was joined to another cluster, or the cluster was made anew."""
    (patient.storage / "tlscacerts").write_text(Authority("other").pem)
    assert patient.wrong() == [("standing", "NET-TLS-UNKNOWN-CA")]


# -- network


def at(address: str, patient: Patient) -> tuple[str, str]:
    patient.settings["proxy_server"] = address
    return patient.wrong()[0]


def test_where_the_proxy_is_not(patient: Patient) -> None:
    assert at("nobody.invalid:443", patient) == ("dns", "NET-DNS")
    assert at(f"127.0.0.1:{free_ports(1)[0]}", patient) == ("tcp", "NET-REFUSED")


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority("web")


def test_what_answers_in_place_of_the_proxy(patient: Patient, authority: Authority, tmp_path: Path) -> None:
    """TLS-NO-IP-SAN, CLOCK-SKEW, NET-SPLIT-DNS and VER-SKEW."""
    trusted = tmp_path / "trusted.pem"
    trusted.write_text(authority.pem)
    patient._machine.environment["SSL_CERT_FILE"] = str(trusted)
    try:
        find = {"cluster_name": NAME, "server_version": "0.1.0", "proxy": {"ssh": {}}}
        pair = authority.issue("localhost")
        with speaking(web_server(pair, json_page(find), tmp_path)) as address:
            assert at(address, patient) == ("tls", "TLS-NO-IP-SAN")
        old = json_page(find, "Date: Mon, 06 Jul 2020 10:00:00 GMT")
        advertised = {"ssh": {"public_addr": f"localhost:{free_ports(1)[0]}"}, "tls_routing_enabled": True}
        for page, check, code in (
            (old, "clock", "CLOCK-SKEW"),
            (json_page({**find, "proxy": advertised}), "advertised", "NET-SPLIT-DNS"),
            (json_page({**find, "server_version": "7.0.0"}), "version", "VER-SKEW"),
        ):
            with speaking(web_server(pair, page, tmp_path)) as address:
                patient.settings["proxy_server"] = address.replace("127.0.0.1", "localhost")
                assert patient.examine(f"--only={check}")[check]["code"] == code
        with speaking(saying(b"HTTP/1.1 400 Bad Request\r\n\r\n")) as address:
            assert at(address, patient) == ("tls", "NET-TLS-NOT-TLS")
    finally:
        del patient._machine.environment["SSL_CERT_FILE"]


# -- outputs


def test_a_role_that_the_bot_does_not_have(patient: Patient) -> None:
    """BOT-ROLE-NOT-GRANTED."""
    patient.output["roles"] = ["editor"]
    assert patient.wrong() == [("identity-output-1", "BOT-ROLE-NOT-GRANTED")]
    assert "--add-roles=editor" in patient.examine()["identity-output-1"]["fix"]


def test_roles_that_have_changed(stage: Stage, tmp_path: Path) -> None:
    """BOT-STALE-CERT; `--fix` lets the bot that runs renew."""
    stage.cluster.role("changing", logins=["alice"])
    patient = stage.other(tmp_path, "stale", "changing")
    stage.cluster.role("changing", logins=["alice", "bob"])
    assert patient.wrong() == [("identity-output-1", "BOT-STALE-CERT")]
    found = patient.examine()["identity-output-1"]
    assert "logins alice, now alice, bob" in found["evidence"]
    machine = patient._machine
    with machine.running() as bot:
        bot.await_line("Task succeeded")
        stage.cluster.role("changing", logins=["alice", "bob", "carol"])
        machine.run("doctor", "-c", str(machine.file), "--fix")
        bot.await_line("Renewing everything now")
        wait_for("the new login", lambda: "carol" in bot.log)


def test_an_output_that_cannot_be_hides_no_other(patient: Patient) -> None:
    """K8S-SECRET-EXEC; roles, logins and the standing of the bot are looked at all the same."""
    place = {"type": "kubernetes_secret", "name": "identity-output", "namespace": "default"}
    secret = {"type": "kubernetes", "kubernetes_cluster": "example", "destination": place}
    other = {"type": "identity", "roles": ["editor"], "destination": {"type": "directory", "path": str(patient.folder)}}
    patient.settings["services"] += [secret, {**secret, "type": "kubernetes/v2", "name": "v2"}, other]
    del patient.settings["services"][2]["kubernetes_cluster"]
    patient.settings["services"][2] |= {"selectors": [{"name": "example"}], "destination": {**place, "name": "second"}}
    found = patient.examine("--login=bob", status=1)
    assert {name: each["code"] for name, each in found.items() if each["state"] == "fail"} == {
        "kubernetes-output-2": "K8S-SECRET-EXEC", "v2": "K8S-SECRET-EXEC", "identity-output-1 ssh": "SSH-PRINCIPAL",
        "identity-output-4": "BOT-ROLE-NOT-GRANTED",
    }  # fmt: skip
    assert found["standing"]["state"] == "ok"
    del patient.settings["services"][1]["kubernetes_cluster"]
    assert patient.wrong() == [
        ("config", "TBOT-PROBLEMS"), ("v2", "K8S-SECRET-EXEC"), ("identity-output-4", "BOT-ROLE-NOT-GRANTED")
    ]  # fmt: skip


def test_a_database_that_the_roles_do_not_show(stage: Stage, tmp_path: Path) -> None:
    """DB-NOT-FOUND-RBAC, and BOT-ROLE-SUBSET where a role that is left out would show it."""
    rules = [{"resources": ["db_server", "db"], "verbs": ["read", "list"]}]
    allow = {"db_labels": {"*": "*"}, "db_names": ["example"], "db_users": ["alice"], "rules": rules}
    cluster = stage.cluster
    cluster.create({"kind": "role", "version": "v5", "metadata": {"name": "machine-id-db"}, "spec": {"allow": allow}})
    spec = {"protocol": "postgres", "uri": "localhost:5432"}
    cluster.create({"kind": "db", "version": "v3", "metadata": {"name": "example"}, "spec": spec})
    patient = stage.other(tmp_path, "data", "access", "machine-id-db")
    place = patient.output["destination"]
    patient.settings["services"] = [
        {"type": "database", "service": "example", "database": "example", "username": "alice", "destination": place}
    ]
    patient.tbot()
    assert patient.wrong() == []
    patient.output["roles"] = ["access"]
    assert patient.wrong() == [("database-output-1", "BOT-ROLE-SUBSET")]
    del patient.output["roles"]
    patient.output["service"] = "other"
    assert patient.wrong() == [("database-output-1", "DB-NOT-FOUND-RBAC")]


def test_the_login_of_an_ssh_command(patient: Patient) -> None:
    """SSH-PRINCIPAL."""
    assert patient.wrong("--login=alice") == []
    assert patient.wrong("--login=bob") == [("identity-output-1 ssh", "SSH-PRINCIPAL")]


def test_the_command_of_ssh_config(patient: Patient) -> None:
    """SSH-PROXY-CMD, SSH-NO-CONFIG."""
    config = patient.out / "ssh_config"
    config.write_text(config.read_text().replace("/tbot", "/no-tbot"))
    assert patient.wrong() == [("identity-output-1 ssh", "SSH-PROXY-CMD")]
    for program in ('"/usr/bin/tbot ssh-proxy-command', "", "   "):
        config.write_text(f"Host *\n    ProxyCommand {program}\n")
        assert patient.wrong() == [("identity-output-1 ssh", "SSH-PROXY-CMD")], program
    config.unlink()
    assert patient.wrong() == [("identity-output-1", "OUT-EMPTY")]


def test_files_of_an_output(patient: Patient) -> None:
    """OUT-OPEN, OUT-MIXED, OUT-EMPTY."""
    os.chmod(patient.out / "key", 0o644)
    assert patient.wrong() == [("identity-output-1", "OUT-OPEN")]
    assert patient.examine("--fix", status=0)["identity-output-1"]["state"] == "ok"
    key = (patient.out / "key").read_bytes()
    (patient.out / "key").write_bytes((patient.storage / "key").read_bytes())
    assert patient.wrong() == [("identity-output-1", "OUT-MIXED")]
    (patient.out / "key").write_bytes(key)
    (patient.out / "tlscert").unlink()
    assert patient.wrong() == [("identity-output-1", "OUT-EMPTY")]


@pytest.mark.parametrize("name", ["identity", "tlscert", "key", "key-cert.pub"])
def test_a_damaged_file_of_an_output(patient: Patient, name: str) -> None:
    """OUT-DAMAGED: file and folder are named, and what is to be done writes it anew."""
    file = patient.out / name
    for content in (b"garbage", b"\xff\0", file.read_bytes()[:-80]):
        file.write_bytes(content)
        assert patient.wrong() == [("identity-output-1", "OUT-DAMAGED")], content
    found = patient.examine()["identity-output-1"]
    assert name in found["evidence"]
    assert str(patient.out) in found["evidence"]
    file.write_bytes(b"")
    assert patient.wrong() == [("identity-output-1", "OUT-EMPTY")]


def test_a_folder_that_is_ready_for_the_first_certificates(patient: Patient) -> None:
    """What `tbot init` leaves, without an ssh_config: empty files."""
    patient.output["ssh_config"] = "off"
    for file in patient.out.iterdir():
        file.write_bytes(b"")
    assert patient.wrong() == [("identity-output-1", "OUT-EMPTY")]


def test_a_bot_that_has_never_run(patient: Patient, stage: Stage, tmp_path: Path) -> None:
    """Nothing is wrong with it but what is not there yet."""
    patient.settings["storage"]["path"] = str(tmp_path / "new")
    patient.settings["onboarding"]["token"] = new_token(stage.cluster, "example")
    patient.output["destination"]["path"] = str(tmp_path / "nothing")
    found = patient.examine()
    assert (found["identity"]["state"], found["token"]["state"]) == ("skip", "ok")
    assert found["identity-output-1"]["code"] == "OUT-EMPTY"


def test_a_bot_is_led_back(stage: Stage, tmp_path: Path) -> None:
    """S1-10, S1-18: `tbot recover` says what is wrong and who has to do what; with a new token the bot is back, and
    goes on although its configuration has the former token."""
    patient = stage.other(tmp_path, "lost")
    tbot = patient._machine
    patient.examine(status=0)
    assert "nothing is wrong" in tbot.run("recover", "-c", str(patient.file)).out
    shutil.copytree(patient.storage, tmp_path / "former")
    patient.tbot()
    patient.settings["storage"]["path"] = str(tmp_path / "former")
    patient.tbot(status=1)
    wait_for("the lock", lambda: _of(patient.wrong(), "BOT-GEN-MISMATCH"))
    told = tbot.run("recover", "-c", str(patient.file), status=1).out
    assert verdict(stage.cluster, "lost") in told
    assert "tctl bots recover lost" in told
    assert "--force" not in told
    before = identity_in(tmp_path / "former").bot_instance_id
    refused = tbot.run("recover", "-c", str(patient.file), "--token=" + tbot.settings["onboarding"]["token"], status=1)
    assert "BOT-RECOVER-TOKEN" in refused.err
    made = stage.cluster.tctl("bots", "recover", "lost", "--yes", "--format=json").out
    token = json.loads(made)["token_id"]
    back = tbot.run("recover", "-c", str(patient.file), f"--token={token}", "--format=json")
    assert json.loads(back.out)["instance"] == identity_in(tmp_path / "former").bot_instance_id != before
    patient.tbot()
    assert wait_for("a bot that is well", lambda: not patient.wrong())
    assert (identity_in(tmp_path / "former").generation, token in patient.file.read_text()) == (2, False)
