"""pki.signer: one contract for both signers; the process, its end, and where key bytes are."""

from __future__ import annotations

import asyncio
import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from teleport.base.entropy import SeededEntropy
from teleport.base.errors import AccessDenied, BadParameter, LimitExceeded, NotFound, NotSupported, Unavailable
from teleport.pki import envelope, keys
from teleport.pki import signer as module
from teleport.pki.signer import KeyHandle, MemorySigner, Signer, SignerProcess
from tests.unit.pki.test_purpose import ssh_tbs, x509_tbs

ROOT = Path(__file__).parents[3]
MAKERS: dict[str, Callable[[Path], Signer]] = {
    "process": SignerProcess,
    "memory": lambda _: MemorySigner(SeededEntropy(1)),
}
both = pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)


@asynccontextmanager
async def closing(signer: Signer) -> AsyncIterator[Signer]:
    try:
        yield signer
    finally:
        await signer.close()


def public(handle: KeyHandle) -> keys.PublicKey:
    return keys.load_spki(handle.spki)


async def until(condition: Callable[[], bool]) -> None:
    while not condition():  # noqa: ASYNC110 - a state of the object under test, which tells nobody
        await asyncio.sleep(0)


@both
def test_contract(make: Callable[[Path], Signer], tmp_path: Path) -> None:
    async def story() -> None:
        async with closing(make(tmp_path)) as signer:
            ssh, tls = await signer.generate("ed25519", "ssh"), await signer.generate("ecdsa-p256", "x509")
            assert (ssh.algorithm, ssh.purpose, len(ssh.key_id)) == ("ed25519", "ssh", 32)
            assert ssh.key_id != tls.key_id
            of_ssh, of_tls = ssh_tbs(public(ssh)), x509_tbs(public(tls))
            answers = await asyncio.gather(
                *(signer.sign(handle.key_id, tbs) for _ in range(300) for handle, tbs in ((ssh, of_ssh), (tls, of_tls)))
            )
            assert all(keys.verify(public(ssh), answer, of_ssh) for answer in answers[::2])
            assert all(keys.verify(public(tls), answer, of_tls) for answer in answers[1::2])
            with pytest.raises(AccessDenied, match="refused to sign"):
                await signer.sign(ssh.key_id, of_tls)
            with pytest.raises(LimitExceeded, match="too many to sign"):
                await signer.sign(ssh.key_id, bytes(1 << 20))
            with pytest.raises(NotSupported):
                await signer.generate("rsa-2048", "x509")
            await signer.retire(ssh.key_id)
            for gone in (ssh.key_id, "no-such-key", "00"):
                await signer.retire(gone)
                with pytest.raises(NotFound):
                    await signer.sign(gone, of_ssh)
            await signer.close()
            with pytest.raises(Unavailable) as caught:
                await signer.sign(tls.key_id, of_tls)
            assert caught.value.code == "PKI-SIGNER-GONE"
            assert caught.value.fix

    asyncio.run(story())


def test_keys_survive_a_restart_of_the_process(tmp_path: Path) -> None:
    async def story() -> None:
        async with closing(SignerProcess(tmp_path)) as first:
            handle = await first.generate("ed25519", "ssh")
        tbs = ssh_tbs(public(handle))
        async with closing(SignerProcess(tmp_path)) as second:
            assert keys.verify(public(handle), await second.sign(handle.key_id, tbs), tbs)

    asyncio.run(story())


def test_a_signer_that_was_never_used_is_closed(tmp_path: Path) -> None:
    signer = SignerProcess(tmp_path)
    asyncio.run(signer.close())
    assert not Path(f"/proc/{signer.pid}").exists()


def test_when_the_process_dies_every_caller_is_told(tmp_path: Path) -> None:
    async def story() -> None:
        async with closing(signer := SignerProcess(tmp_path)):
            handle = await signer.generate("ed25519", "ssh")
            os.kill(signer.pid, signal.SIGSTOP)
            calls = [
                asyncio.get_running_loop().create_task(signer.sign(handle.key_id, ssh_tbs(public(handle))))
                for _ in range(5)
            ]
            await asyncio.sleep(0)
            calls[0].cancel()
            os.kill(signer.pid, signal.SIGKILL)
            answers = await asyncio.gather(*calls, return_exceptions=True)
            assert isinstance(answers[0], asyncio.CancelledError)
            assert all(isinstance(answer, Unavailable) for answer in answers[1:])
            with pytest.raises(Unavailable):
                await signer.generate("ed25519", "ssh")

    asyncio.run(story())


def test_a_cancelled_call_does_not_disturb_others(tmp_path: Path) -> None:
    async def story() -> None:
        async with closing(signer := SignerProcess(tmp_path)):
            handle = await signer.generate("ed25519", "ssh")
            tbs = ssh_tbs(public(handle))
            os.kill(signer.pid, signal.SIGSTOP)
            calls = [asyncio.get_running_loop().create_task(signer.sign(handle.key_id, tbs)) for _ in range(3)]
            await until(lambda: len(signer._waiting) == 3)
            calls[1].cancel()
            os.kill(signer.pid, signal.SIGCONT)
            answers = await asyncio.gather(*calls, return_exceptions=True)
            assert isinstance(answers[1], asyncio.CancelledError)
            assert keys.verify(public(handle), answers[0], tbs)  # type: ignore[arg-type]
            assert keys.verify(public(handle), answers[2], tbs)  # type: ignore[arg-type]

    asyncio.run(story())


def test_closing_while_calls_are_under_way_tells_each_once(tmp_path: Path) -> None:
    async def story() -> None:
        signer = SignerProcess(tmp_path)
        handle = await signer.generate("ed25519", "ssh")
        os.kill(signer.pid, signal.SIGSTOP)
        call = asyncio.get_running_loop().create_task(signer.sign(handle.key_id, ssh_tbs(public(handle))))
        await until(lambda: bool(signer._waiting))
        os.kill(signer.pid, signal.SIGCONT)
        signer._fail()
        signer._fail()
        await signer.close()
        with pytest.raises(Unavailable):
            await call

    asyncio.run(story())


def test_a_write_to_a_dead_process_is_told(tmp_path: Path) -> None:
    class Writer:
        """Stands for a connection that breaks while it is written to."""

        def write(self, data: bytes) -> None:
            pass

        async def drain(self) -> None:
            raise BrokenPipeError

    async def story() -> None:
        async with closing(signer := SignerProcess(tmp_path)):
            await signer.generate("ed25519", "ssh")
            real, signer._writer = signer._writer, Writer()  # type: ignore[assignment]
            with pytest.raises(Unavailable):
                await signer.generate("ed25519", "ssh")
            signer._writer = real

    asyncio.run(story())


def test_a_process_that_does_not_end_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_PATIENCE", 0.01)

    async def story() -> int:
        signer = SignerProcess(tmp_path)
        await signer.generate("ed25519", "ssh")
        os.kill(signer.pid, signal.SIGSTOP)
        await signer.close()
        return signer.pid

    assert not Path(f"/proc/{asyncio.run(story())}").exists()


def test_it_is_named_and_deaf_to_terminal_signals(tmp_path: Path) -> None:
    async def story() -> None:
        async with closing(signer := SignerProcess(tmp_path)):
            await signer.generate("ed25519", "ssh")
            assert Path(f"/proc/{signer.pid}/comm").read_text() == "teleport-signer\n"
            assert Path(f"/proc/{signer.pid}/cmdline").read_bytes().startswith(b"teleport-signer\0")
            for number in (signal.SIGINT, signal.SIGHUP, signal.SIGUSR1):
                os.kill(signer.pid, number)
            await signer.generate("ed25519", "ssh")
            limits = Path(f"/proc/{signer.pid}/limits").read_text()
            (core,) = [line for line in limits.splitlines() if line.startswith("Max core file size")]
            assert core.split()[4:6] == ["0", "0"]
            # Not dumpable: its files in /proc belong to root, and nobody without privilege can attach.
            assert os.stat(f"/proc/{signer.pid}/mem").st_uid == 0

    asyncio.run(story())


def _scan(pid: int, files: list[Path]) -> list[str]:
    # Where only ancestors may look into a process (Yama), let the scanner.
    ctypes.CDLL(None).prctl(0x59616D61, -1, 0, 0, 0)
    command = [sys.executable, "-m", "tests.support.memory_scan", str(pid), *map(str, files)]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return run.stdout.split()


async def _busy(signer: Signer, folder: Path) -> list[Path]:
    """Make and use keys; return their files."""
    for algorithm, purpose in (("ed25519", "ssh"), ("ecdsa-p256", "x509"), ("ecdsa-p256", "ssh")):
        handle = await signer.generate(algorithm, purpose)
        tbs = ssh_tbs(public(handle)) if purpose == "ssh" else x509_tbs(public(handle))
        await asyncio.gather(*(signer.sign(handle.key_id, tbs) for _ in range(20)))
    return sorted((folder / "keys").iterdir())


def test_key_bytes_are_in_no_memory_of_this_process(tmp_path: Path) -> None:
    async def story() -> list[str]:
        async with closing(signer := SignerProcess(tmp_path)):
            files = await _busy(signer, tmp_path)
            assert len(files) == 3
            return _scan(os.getpid(), files)

    assert asyncio.run(story()) == []


@pytest.mark.root
def test_key_bytes_are_in_the_memory_of_the_signer(tmp_path: Path) -> None:
    """The other half of the test above: were it not so, the scan could not find anything anywhere."""

    async def story() -> tuple[set[str], set[str]]:
        async with closing(signer := SignerProcess(tmp_path)):
            files = await _busy(signer, tmp_path)
            return {name.partition(":")[0] for name in _scan(signer.pid, files)}, {file.name for file in files}

    found, wanted = asyncio.run(story())
    assert found == wanted


def test_the_scan_finds_keys_that_are_in_this_process(tmp_path: Path) -> None:
    files = []
    held = []
    for name, key in (("ed", keys.make_ed25519(SeededEntropy(8))), ("p256", keys.make_p256(SeededEntropy(8)))):
        files.append(tmp_path / name)
        files[-1].write_bytes(keys.private_pem(key))
        held.append(key)
    found = _scan(os.getpid(), files)
    assert {name.partition(":")[0] for name in found} == {"ed", "p256"}
    assert {"ed:raw"} <= set(found)
    assert {"p256:little", "p256:big"} & set(found)
    assert held


@both
def test_data_keys_of_recordings_are_unwrapped(make: Callable[[Path], Signer], tmp_path: Path) -> None:
    async def story() -> None:
        async with closing(make(tmp_path)) as signer:
            handle = await signer.generate("x25519", "recording")
            wrapped = envelope.wrap(b"d" * 32, envelope.load_public(handle.spki))
            assert await signer.decipher(handle.key_id, wrapped) == b"d" * 32
            for wrong in (b"", wrapped[1:]):
                with pytest.raises(BadParameter, match="cannot be opened"):
                    await signer.decipher(handle.key_id, wrong)
            with pytest.raises(LimitExceeded):
                await signer.decipher(handle.key_id, bytes(1 << 20))
            with pytest.raises(AccessDenied):
                await signer.sign(handle.key_id, b"anything")

    asyncio.run(story())
