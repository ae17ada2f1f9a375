"""Failures of the past in how programs are started and libraries used: environment, shells, dangerous calls.

What holds for all of the source is looked up in it, so that a new file cannot bring an old failure back.
"""

from __future__ import annotations

import ast
import functools
from collections.abc import Iterator
from pathlib import Path

import asyncssh
import pytest

from teleport.agents.ssh import spawner_messages, spawner_process
from teleport.base.errors import BadParameter
from teleport.net import ssh_settings

SOURCE = Path(__file__).resolve().parents[2] / "src" / "teleport"
MODULES = sorted(path for path in SOURCE.rglob("*.py") if SOURCE / "api" / "pb" not in path.parents)
FORBIDDEN = {
    "eval", "exec", "os.system", "os.popen", "os.spawnl", "os.spawnv", "pickle.load", "pickle.loads", "marshal.loads",
    "shelve.open", "yaml.load", "yaml.unsafe_load", "yaml.full_load", "tempfile.mktemp", "random.random",
    "random.choice", "ssl._create_unverified_context", "asyncio.create_subprocess_shell", "subprocess.getoutput",
}  # fmt: skip


@functools.cache
def nodes() -> tuple[tuple[str, ast.AST], ...]:
    """Every call and assignment in the source, with its file."""
    return tuple(
        (str(path.relative_to(SOURCE)), node)
        for path in MODULES
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, (ast.Call, ast.Assign))
    )


def calls() -> Iterator[tuple[str, str, ast.Call]]:
    """Yield where each call is, its dotted name, and the call."""
    for file, node in nodes():
        if isinstance(node, ast.Call) and isinstance(node.func, (ast.Name, ast.Attribute)):
            yield f"{file}:{node.lineno}", ast.unparse(node.func), node


@pytest.mark.parametrize(
    "name",
    [
        pytest.param("DYLD_INSERT_LIBRARIES", id="ghsa_vfxf_76hv_v4w4"),
        pytest.param("LD_PRELOAD", id="ld_preload"),
        pytest.param("LD_LIBRARY_PATH", id="ld_library_path"),
        pytest.param("BASH_ENV", id="bash_env"),
        pytest.param("ENV", id="env"),
        pytest.param("BASH_FUNC_x%%", id="cve_2014_6271_shellshock"),
        pytest.param("PYTHONSTARTUP", id="python"),
        pytest.param("PATH", id="path"),
        pytest.param("IFS", id="ifs"),
        pytest.param("GCONV_PATH", id="cve_2021_4034_gconv"),
        pytest.param("GLIBC_TUNABLES", id="cve_2023_4911_tunables"),
        pytest.param("SSH_AUTH_SOCK\nLD_PRELOAD", id="second_line"),
        pytest.param("SSH_X=1\0LD_PRELOAD", id="nul"),
        pytest.param("ssh_x", id="lower_case"),
        pytest.param("SSH_", id="prefix_alone"),
        pytest.param("", id="empty"),
    ],
)
def test_the_environment_of_a_command_has_facts_of_the_session_only(name: str) -> None:
    request = spawner_messages.Start(id=1, admission=1, login="alice", command=b"true", environment={name: "/tmp/x.so"})
    with pytest.raises(BadParameter, match="environment"):
        spawner_process.check(request, (0, 1, 2))


@pytest.mark.parametrize("value", ["a\nLD_PRELOAD=x", "a\0b", "\x1b[2J", "\ud800", "() { :;}; echo x\n"])
def test_a_value_of_the_environment_is_one_printable_line(value: str) -> None:
    request = spawner_messages.Start(id=1, admission=1, login="alice", command=b"true", environment={"SSH_X": value})
    with pytest.raises(BadParameter, match="environment"):
        spawner_process.check(request, (0, 1, 2))


def test_no_code_runs_a_shell_or_text_as_a_program() -> None:
    found = {where: name for where, name, _ in calls() if name in FORBIDDEN}
    assert not found


def test_no_call_asks_for_a_shell() -> None:
    """JumpServer #14600 and all of its kind: argument lists, never a line that something reads again."""
    starters = ("subprocess.", "asyncio.create_subprocess", "loop.subprocess")
    found = {where for where, name, call in calls() if name.startswith(starters) for keyword in call.keywords
             if keyword.arg == "shell"}  # fmt: skip
    assert not found


def test_cve_2026_31798_only_first_contact_may_skip_the_check_of_a_certificate() -> None:
    """`tsh login --insecure` says that it does so, and skips nothing but the web certificate. Nothing is trusted either
    where a client only looks which protocol is selected (`net.upgrade`), before it compares CA pins (`pki.contexts`),
    and outside of the connection in which the cluster proves itself (`pki.tls_settings`, asked for by name below)."""
    switches = ("verify_mode = ssl.CERT_NONE", "check_hostname = False")
    found = {file for file, node in nodes() if isinstance(node, ast.Assign) and ast.unparse(node).endswith(switches)}
    assert found == {"net/upgrade.py", "pki/contexts.py", "pki/tls_settings.py"}
    skipping = {
        where.partition(":")[0] for where, name, call in calls() for keyword in call.keywords
        if keyword.arg == "insecure" and name.rpartition(".")[2] in ("public_context", "public")
        and not (isinstance(keyword.value, ast.Constant) and keyword.value.value is False)
    }  # fmt: skip
    assert skipping == {
        "bot/onboarding.py", "bot/web_find.py", "client/doctor/net/auth.py", "client/doctor/net/balancer.py",
        "client/doctor/trip.py", "client/web_api.py",
        "net/way.py", "process/joining.py",
    }  # fmt: skip


def test_cve_2023_46445_and_46446_the_library_is_one_that_was_repaired() -> None:
    version = tuple(int(part) for part in asyncssh.__version__.split(".")[:2])
    assert version >= (2, 14)


def test_cve_2023_48795_terrapin_no_cipher_that_it_needs_is_offered() -> None:
    """Strict key exchange is on (`unit/net/test_ssh`); the modes that made the attack useful are not there either."""
    offered = [name for value in vars(ssh_settings).values() if isinstance(value, (tuple, list)) for name in value]
    words = [name for name in offered if isinstance(name, str)]
    assert words, "no algorithms are named"
    assert not [name for name in words if name.endswith("-cbc") or ("etm" in name and "cbc" in name)]
