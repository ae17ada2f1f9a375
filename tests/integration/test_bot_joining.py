"""tbot joins with what a job of GitHub or GitLab or the chip of a machine shows, in place of a secret.

GitHub and GitLab cannot be had here: who gives the jobs their tokens is an issuer of ours, whose keys the token of the
cluster has. The chip is one in software, with its maker's certificate.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from teleport.base.clock import SystemClock
from tests.support.cluster import NAME, Cluster
from tests.support.issuer import Issuer
from tests.support.pretenders import json_page, speaking, web_server
from tests.support.server_process import BIN
from tests.support.swtpm import Swtpm
from tests.support.tbot import Machine, identity_in, instances, make_bot
from tests.support.tls import Authority


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with Cluster(tmp_path_factory.mktemp("cluster")).running() as running:
        running.role("access", logins=["alice"])
        yield running


def machine(cluster: Cluster, name: str, method: str, block: dict[str, Any]) -> Machine:
    """Make a bot, and a token for it without a secret; return a machine that has this token."""
    make_bot(cluster, name, "access")
    spec = {"roles": ["Bot"], "bot_name": name, "join_method": method, method: block}
    cluster.create({"kind": "token", "version": "v2", "metadata": {"name": f"{name}-token"}, "spec": spec})
    return Machine(cluster, name, f"{name}-token", method=method)


def joins_twice(cluster: Cluster, made: Machine, method: str) -> dict[str, Any]:
    """Run a machine twice: it shows its proof anew and is the same instance. Return what the proof said."""
    made.once()
    made.once()
    name = made.folder.name.removeprefix("machine-")
    assert [*instances(cluster, name).values()] == [2]
    assert not identity_in(made.storage).renewable
    assert identity_in(made.out).roles == ("access",)
    event = cluster.some("bot.join", 2, bot_name=name)[-1]
    assert event["method"] == method
    return dict(event["attributes"])


def claims(**more: Any) -> dict[str, Any]:
    now = int(SystemClock().now().timestamp())
    return {"aud": NAME, "iat": now, "nbf": now, "exp": now + 600, **more}


def test_a_run_of_github_asks_for_its_token(cluster: Cluster, tmp_path: Path) -> None:
    """S1-05, S1-44."""
    issuer = Issuer("https://git.example.com/_services/token")
    block = {"enterprise_server_host": "git.example.com", "static_jwks": issuer.jwks, "allow": [{"repository": "o/r"}]}
    made = machine(cluster, "runner", "github", block)
    authority = Authority("github")
    trusted = tmp_path / "trusted.pem"
    trusted.write_text((cluster.data / "webproxy_cert.pem").read_text() + authority.pem)
    answer = json_page({"value": issuer.token(**claims(sub="repo:o/r", repository="o/r", actor="alice"))})
    with speaking(web_server(authority.issue("localhost"), answer, tmp_path)) as address:
        made.environment = {
            "ACTIONS_ID_TOKEN_REQUEST_URL": f"https://{address.replace('127.0.0.1', 'localhost')}/token?run=1",
            "ACTIONS_ID_TOKEN_REQUEST_TOKEN": "of-the-run", "SSL_CERT_FILE": str(trusted),
        }  # fmt: skip
        assert joins_twice(cluster, made, "github")["repository"] == "o/r"
    made.environment = {}
    assert "id-token: write" in made.once(status=1).err


def test_a_job_of_gitlab_has_its_token_in_a_variable(cluster: Cluster) -> None:
    issuer = Issuer("https://gitlab.com")
    made = machine(cluster, "job", "gitlab", {"static_jwks": issuer.jwks, "allow": [{"project_path": "team/*"}]})
    made.settings["onboarding"]["gitlab"] = {"token_env_var_name": "JOB_TOKEN"}
    made.environment = {"JOB_TOKEN": issuer.token(**claims(sub="x", project_path="team/app", user_login="alice"))}
    assert joins_twice(cluster, made, "gitlab")["project_path"] == "team/app"
    made.environment = {"JOB_TOKEN": issuer.token(**claims(sub="x", project_path="other/app", user_login="alice"))}
    assert "the job of other/app did not match any allow rules in token job-token" in made.once(status=1).err
    made.environment = {}
    assert "id_tokens" in made.once(status=1).err


def test_a_machine_is_known_by_its_chip(cluster: Cluster, tmp_path: Path) -> None:
    chip = Swtpm(tmp_path)
    with chip.running() as path:
        command = [str(BIN / "teleport"), "tpm", "identify", "--format=json"]
        environment = {**cluster.environment(), "TELEPORT_TPM": str(path)}
        shown = subprocess.run(command, env=environment, capture_output=True, text=True, check=True, timeout=120)
        known = json.loads(shown.stdout)
        made = machine(cluster, "racked", "tpm", {"ekcert_allowed_cas": [chip.authority], "allow": [known]})
        made.environment = {"TELEPORT_TPM": str(path)}
        assert joins_twice(cluster, made, "tpm") == known
