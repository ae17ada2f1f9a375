"""`tbot install systemd`: a unit that systemd accepts, under any name."""

from __future__ import annotations

import configparser
import stat
import subprocess
from pathlib import Path

import pytest

from teleport.cli.entry import main
from tests.support.programs import need

Captured = pytest.CaptureFixture[str]


def unit(capsys: Captured, *options: str) -> configparser.SectionProxy:
    """Return the section of the printed unit."""
    assert main("tbot", ["install", "systemd", *options]) == 0
    parser = configparser.ConfigParser(interpolation=None, strict=True)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read_string(capsys.readouterr().out)
    return parser["Service"]


def test_the_usual_unit(capsys: Captured) -> None:
    service = unit(capsys, "--tbot-path=/usr/local/bin/tbot")
    assert service["ExecStart"] == "/usr/local/bin/tbot start -c /etc/tbot.yaml"
    assert (service["User"], service["Group"]) == ("teleport", "teleport")
    assert service["ExecReload"] == "/bin/kill -USR1 $MAINPID"
    assert service["NoNewPrivileges"] == "yes"
    assert (service["CapabilityBoundingSet"], service["UMask"]) == ("", "0077")
    assert "PrivateDevices" not in service, "a TPM is a device"
    assert "RuntimeDirectory" not in service


def test_what_is_asked_for_stands_in_it(capsys: Captured) -> None:
    service = unit(
        capsys,
        "--user=root",
        "--group=0",
        "--pid-file=/run/machine-id/pid",
        "-c",
        "/srv/t.yaml",
        "--tbot-path=/bin/tbot",
    )
    assert service["ExecStart"] == "/bin/tbot start -c /srv/t.yaml --pid-file=/run/machine-id/pid"
    assert service["RuntimeDirectory"] == "machine-id"
    assert (service["User"], service["Group"]) == ("root", "0")
    assert "CAP_DAC_OVERRIDE" in service["CapabilityBoundingSet"]


def test_the_unit_has_the_name_that_users_choose(capsys: Captured, tmp_path: Path) -> None:
    """S1-36: `systemctl restart machine-id`; that a restart renews is the bot's matter."""
    words = ["install", "systemd", "--name=machine-id", "--write", f"--systemd-directory={tmp_path}"]
    assert main("tbot", words) == 0
    assert "systemctl enable --now machine-id" in capsys.readouterr().err
    path = tmp_path / "machine-id.service"
    assert [*tmp_path.iterdir()] == [path]
    assert stat.S_IMODE(path.stat().st_mode) == 0o644
    assert main("tbot", words) == 0, "the same again changes nothing"
    capsys.readouterr()
    assert main("tbot", [*words, "--user=alice"]) == 1
    assert "TBOT-UNIT-EXISTS" in capsys.readouterr().err
    assert "User=teleport\n" in path.read_text()
    assert main("tbot", [*words, "--user=alice", "--force"]) == 0
    assert "User=alice\n" in path.read_text()


def test_systemd_finds_no_fault(capsys: Captured, tmp_path: Path) -> None:
    program = need("systemd-analyze")
    words = ["install", "systemd", "--name=machine-id", "--tbot-path=/bin/true", "--pid-file=/run/machine-id/pid"]
    assert main("tbot", [*words, "--write", f"--systemd-directory={tmp_path}"]) == 0
    path = tmp_path / "machine-id.service"

    def told() -> list[str]:
        done = subprocess.run([program, "verify", "--man=no", str(path)], capture_output=True, text=True, check=False)
        return [line for line in done.stderr.splitlines() if "machine-id" in line]

    assert told() == []
    path.write_text(path.read_text().replace("RestrictRealtime=yes", "RestrictRealtime=some"))
    assert told() != [], "it would have told"


@pytest.mark.parametrize(
    ("option", "code"),
    [
        ("--config=tbot.yaml", "CLI-UNIT-PATH"),
        ("--pid-file=/run/two words", "CLI-UNIT-PATH"),
        ("--tbot-path=/bin/$HOME", "CLI-UNIT-PATH"),
        ("--name=a/b", "TBOT-UNIT-NAME"),
        ("--name=", "TBOT-UNIT-NAME"),
        ("--user=a b", "TBOT-UNIT-NAME"),
        ("--group=%i", "TBOT-UNIT-NAME"),
    ],
)
def test_what_a_unit_would_read_as_something_else(capsys: Captured, option: str, code: str) -> None:
    assert main("tbot", ["install", "systemd", option]) == 1
    assert code in capsys.readouterr().err
