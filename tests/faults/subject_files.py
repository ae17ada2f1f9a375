"""Files under faults: single files replaced at once (`base.disk`), and keys on the signer's shelf (`pki.custody`)."""

from __future__ import annotations

import hashlib
import random
from pathlib import Path

from teleport.base.disk import SystemDisk
from teleport.base.entropy import SystemEntropy
from teleport.base.errors import TeleportError
from teleport.pki import keys
from teleport.pki.custody import Custody, FolderShelf
from tests.faults.trial import Work


class Files:
    """Versions of three files, each with its digest, in folders that are made for them; some are removed."""

    name, acknowledges = "files", "writes"

    def prepare(self, root: Path) -> None:
        """Nothing is there before."""

    def work(self, work: Work) -> None:
        """Replace, remove and make anew; each is acknowledged with what may be there from then on."""
        disk, chance = SystemDisk(), random.Random(work.seed)
        for version in range(1, 13):
            name = f"file-{version % 3}"
            path = work.root / f"folder-{version % 3}" / "deep" / name
            try:
                disk.make_dir(str(path.parent))
                if version in (7, 8) and disk.exists(str(path)):
                    work.acknowledge(f"{name} may be gone")
                    disk.remove(str(path))
                    work.acknowledge(f"{name} is gone")
                data = _content(work.round * 100 + version, chance.choice((0, 10, 5000, 70_000)))
                disk.write(str(path), data, exclusive=not disk.exists(str(path)))
            except TeleportError:
                continue
            work.acknowledge(f"{name} is {work.round * 100 + version}")

    def examine(self, root: Path, acknowledged: list[str]) -> list[str]:
        """Read every file."""
        problems = []
        for number in range(3):
            name = f"file-{number}"
            said = [line.split(" ")[1:] for line in acknowledged if line.startswith(f"{name} ")]
            path = root / f"folder-{number}" / "deep" / name
            found = _version_of(path.read_bytes()) if path.exists() else None
            oldest = int(said[-1][1]) if said and said[-1][1].isdigit() else 0
            if found is None and oldest:
                problems.append(f"lost: {name} of version {oldest}")
            elif found is not None and said and said[-1][1] == "gone" and found <= _newest(said):
                problems.append(f"{name} was removed and is back")
            elif found is not None and found < oldest:
                problems.append(f"{'half' if found < 0 else 'lost'}: {name} is {found}, not {oldest} or newer")
        return problems


def _newest(said: list[list[str]]) -> int:
    return max((int(words[1]) for words in said if words[1].isdigit()), default=0)


def _content(version: int, size: int) -> bytes:
    body = f"{version}|".encode() + b"x" * size
    return hashlib.sha256(body).hexdigest().encode() + body


def _version_of(data: bytes) -> int:
    """Return the version of a content; -1 when it is not one that was written."""
    digest, body = data[:64], data[64:]
    if hashlib.sha256(body).hexdigest().encode() != digest:
        return -1
    return int(body.partition(b"|")[0])


class Keys:
    """Authority keys: made and retired by the custody over a folder."""

    name, acknowledges = "keys", "keys"

    def prepare(self, root: Path) -> None:
        """Make the folder: the signer's start does it."""
        FolderShelf(root / "keys")

    def work(self, work: Work) -> None:
        """Make keys, retire every third."""
        for number in range(9):
            custody = Custody(FolderShelf(work.root / "keys"), SystemEntropy())
            try:
                key = custody.generate("ed25519", "jwt")
                work.acknowledge(f"{key.key_id} is {key.spki.hex()}")
                if number % 3 == 2:
                    work.acknowledge(f"{key.key_id} may go")
                    custody.retire(key.key_id)
                    work.acknowledge(f"{key.key_id} is gone")
            except TeleportError:
                continue

    def examine(self, root: Path, acknowledged: list[str]) -> list[str]:
        """Load every key that is there."""
        problems, states = [], dict[str, str]()
        for line in acknowledged:
            key_id, _, state = line.partition(" ")
            states[key_id] = state
        for key_id, state in states.items():
            there = (root / "keys" / key_id).exists()
            if state.startswith("is gone"):
                problems += [f"a retired key is there: {key_id}"] if there else []
            elif not there and not state.startswith("may"):
                problems.append(f"lost: key {key_id}")
        for path in (root / "keys").iterdir():
            if path.name.startswith("."):
                continue
            head, _, pem = path.read_bytes().partition(b"\n")
            public = keys.spki(keys.load_private(pem).public_key()).hex()
            if head != b"purpose: jwt" or states.get(path.name, public) not in (f"is {public}", "may go", public):
                problems.append(f"half: key {path.name}")
        return problems
