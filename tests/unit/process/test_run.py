"""Running the process: the host's UUID, and that nothing is started or left for a configuration that is refused.
The process as a whole is walked in tests/integration."""

import gc
import re

import pytest

from teleport.base.disk import MemoryDisk
from teleport.base.entropy import SeededEntropy
from teleport.base.errors import BadParameter
from teleport.process import run
from teleport.process.supervisor import Supervisor
from tests.support import one_process

UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")


def test_host_uuid_is_made_once(tmp_path):
    disk, settings = MemoryDisk(), one_process.settings(tmp_path)
    disk.make_dir(str(tmp_path))
    made = run._host_uuid(settings, disk, SeededEntropy(1))
    assert UUID.fullmatch(made)
    path = f"{tmp_path}/host_uuid"
    assert (disk.read(path).decode(), disk.mode(path)) == (f"{made}\n", 0o600)
    assert run._host_uuid(settings, disk, SeededEntropy(2)) == made


def test_nothing_is_started_for_a_configuration_without_services(tmp_path, monkeypatch):
    def started(*_, **__):
        pytest.fail("a child was started")

    monkeypatch.setattr(run.Spawner, "launch", started)
    monkeypatch.setattr(run, "SignerProcess", started)
    settings = one_process.settings(tmp_path, auth="no", proxy="no", ssh="no")
    with pytest.raises(BadParameter) as caught:
        run.run(settings, lambda: settings, pid_file=str(tmp_path / "pid"))
    assert caught.value.code == "PROC-NO-SERVICE"
    assert list(tmp_path.iterdir()) == []


def test_what_is_there_after_the_start_is_not_looked_through_again():
    before = gc.get_threshold()
    try:
        run._started(Supervisor((), entropy=SeededEntropy(1)))
        assert gc.get_freeze_count() > 10_000
        assert gc.get_threshold() == run.COLLECT
    finally:
        gc.unfreeze()
        gc.set_threshold(*before)
