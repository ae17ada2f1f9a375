"""`teleport install systemd`: a unit that systemd accepts and that does what the networking guide says."""

import configparser
import stat
import subprocess

import pytest

from teleport.cli.entry import main
from tests.support.programs import need


def unit(capsys, *options):
    """Return the printed unit, read."""
    assert main("teleport", ["install", "systemd", *options]) == 0
    parser = configparser.ConfigParser(interpolation=None, strict=True)
    parser.optionxform = str
    parser.read_string(capsys.readouterr().out)
    return parser["Service"]


def test_the_unit_reads_variables_from_the_usual_file(capsys):
    """S3-14: the unit has `EnvironmentFile=-/etc/default/teleport`. S3-15: what the guide leaves out is printed."""
    service = unit(capsys, "--teleport-path=/usr/local/bin/teleport")
    assert service["EnvironmentFile"] == "-/etc/default/teleport"
    assert service["ExecStart"] == (
        "/usr/local/bin/teleport start --config /etc/teleport.yaml --pid-file=/run/teleport.pid"
    )
    assert service["LimitNOFILE"] == "524288"
    assert service["Restart"] == "on-failure"


def test_what_is_asked_for_stands_in_it(capsys):
    service = unit(
        capsys, "--env-file=/etc/sysconfig/teleport", "--pid-file=/run/t/pid", "--fd-limit=4096", "--config=/srv/t.yaml"
    )
    assert service["EnvironmentFile"] == "-/etc/sysconfig/teleport"
    assert service["ExecStart"].endswith(" start --config /srv/t.yaml --pid-file=/run/t/pid")
    assert service["ExecStart"].startswith("/")
    assert service["LimitNOFILE"] == "4096"


def test_systemd_finds_no_fault(capsys, tmp_path):
    program = need("systemd-analyze")
    path = tmp_path / "teleport.service"
    assert main("teleport", ["install", "systemd", "--teleport-path=/bin/true", "-o", str(path)]) == 0
    assert "systemctl daemon-reload" in capsys.readouterr().err
    assert stat.S_IMODE(path.stat().st_mode) == 0o644
    done = subprocess.run([program, "verify", "--man=no", str(path)], capture_output=True, text=True, check=False)
    assert [line for line in done.stderr.splitlines() if "teleport" in line] == []
    path.write_text(path.read_text().replace("KillMode=mixed", "KillMode=some"))
    done = subprocess.run([program, "verify", "--man=no", str(path)], capture_output=True, text=True, check=False)
    assert "kill mode" in done.stderr, "it would have told"


def test_the_reload_asks_the_process_of_the_file(capsys, tmp_path):
    """What `ExecReload` says, in a shell as systemd starts it: `$$` is a dollar there."""
    pid = tmp_path / "pid"
    (line,) = (unit(capsys, f"--pid-file={pid}")["ExecReload"],)
    script = line.removeprefix("/bin/sh -c '").removesuffix("'").replace("$$", "$")
    catcher = 'trap \'echo again; exit 0\' HUP; echo $$ >"$0".new; mv "$0".new "$0"; while :; do sleep 0.05; done'
    with subprocess.Popen(["/bin/sh", "-c", catcher, str(pid)], stdout=subprocess.PIPE, text=True) as process:
        while not pid.exists():
            assert process.poll() is None
        subprocess.run(["/bin/sh", "-c", script], check=True)
        assert process.communicate(timeout=30)[0] == "again\n"


@pytest.mark.parametrize(
    "path", ["teleport.pid", "/run/two words", "/run/$HOME", "/run/%i", '/run/"', "/run/a\n[Service]"]
)
def test_paths_that_would_mean_something_else(capsys, path):
    assert main("teleport", ["install", "systemd", f"--pid-file={path}"]) == 1
    assert "CLI-UNIT-PATH" in capsys.readouterr().err
