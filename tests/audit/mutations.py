"""Every way to change an audit log behind the program's back, at random: each must be found, at the right place.

    python -m tests.audit.mutations 100000 --seed 1

A mutation says which log and which record must be named. What lies after the last checkpoint that was kept elsewhere
can be cut off or computed anew without a trace: mutations of that sort stay before it.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import json
import random
import sys
import tempfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from teleport.base.audit_verify import CHECKPOINTS, Export, Report, canonical
from teleport.base.audit_verify import verify as verify_source
from teleport.base.chain import START, link
from teleport.store.audit.verify import check
from teleport.store.sqlite_reader import inspect
from tests.audit.world import Row, World, WorldSource, build, write_export, write_store

FRESH = 200
"""Mutations of one world, before the next one is built."""
ELSEWHERE = 250
"""Every so many mutations, one is also checked in a SQLite store and in the files of an export."""


class Place(NamedTuple):
    """Where a mutation must be found. `exact`: the first finding of that log names this record; otherwise a finding
    names a range with it."""

    log: str
    sequence: int
    exact: bool = True


Mutation = Callable[[World, random.Random], "Place | None"]


def _log(world: World, chance: random.Random) -> tuple[str, list[Row]]:
    name = chance.choice(sorted(world.logs))
    return name, world.logs[name]


def _flip(data: bytes, chance: random.Random) -> bytes:
    at = chance.randrange(len(data))
    return data[:at] + bytes([data[at] ^ chance.randint(1, 255)]) + data[at + 1 :]


def _renumber(world: World, name: str, rows: list[Row], first: int, count: int) -> None:
    """Give the rows the numbers from `first` on, and let the head end at the last of `count` rows."""
    rows[:] = [(first + i, data, digest) for i, (_, data, digest) in enumerate(rows)]
    world.heads[name] = (first + count - 1, rows[-1][2] if rows else START)


def _rechain(world: World, name: str, start: int) -> None:
    """Compute the chain anew from the row with index `start` on."""
    rows = world.logs[name]
    before = rows[start - 1][2] if start else world.pruned.get(name, (0, START))[1]
    for index in range(start, len(rows)):
        sequence, data, _ = rows[index]
        before = link(before, sequence, data)
        rows[index] = (sequence, data, before)
    world.heads[name] = (rows[-1][0], rows[-1][2]) if rows else (0, START)


def edit_data(world: World, chance: random.Random) -> Place | None:
    name, rows = _log(world, chance)
    at = chance.randrange(len(rows))
    rows[at] = (rows[at][0], _flip(rows[at][1], chance), rows[at][2])
    return Place(name, rows[at][0])


def edit_digest(world: World, chance: random.Random) -> Place | None:
    name, rows = _log(world, chance)
    at = chance.randrange(len(rows))
    rows[at] = (rows[at][0], rows[at][1], _flip(rows[at][2], chance))
    return Place(name, rows[at][0])


def swap_content(world: World, chance: random.Random) -> Place | None:
    name, rows = _log(world, chance)
    a, b = sorted((chance.randrange(len(rows)), chance.randrange(len(rows))))
    if rows[a][1] == rows[b][1]:
        return None
    rows[a], rows[b] = (rows[a][0], rows[b][1], rows[a][2]), (rows[b][0], rows[a][1], rows[b][2])
    return Place(name, rows[a][0])


def swap_records(world: World, chance: random.Random) -> Place | None:
    """Contents and digests change places."""
    name, rows = _log(world, chance)
    a, b = sorted((chance.randrange(len(rows)), chance.randrange(len(rows))))
    rows[a], rows[b] = (rows[a][0], *rows[b][1:]), (rows[b][0], *rows[a][1:])
    return Place(name, rows[a][0])


def reorder(world: World, chance: random.Random) -> Place | None:
    name, rows = _log(world, chance)
    a, b = chance.randrange(len(rows)), chance.randrange(len(rows))
    first, moved = rows[0][0], rows.pop(a)
    rows.insert(b, moved)
    _renumber(world, name, rows, first, len(rows))
    return Place(name, first + min(a, b))


def delete_one(world: World, chance: random.Random) -> Place | None:
    name, rows = _log(world, chance)
    return Place(name, rows.pop(chance.randrange(len(rows)))[0])


def delete_range(world: World, chance: random.Random) -> Place | None:
    name, rows = _log(world, chance)
    a = chance.randrange(len(rows))
    sequence = rows[a][0]
    del rows[a : chance.randint(a + 1, len(rows))]
    return Place(name, sequence)


def delete_and_renumber(world: World, chance: random.Random) -> Place | None:
    name, rows = _log(world, chance)
    first, a = rows[0][0], chance.randrange(len(rows))
    if a == len(rows) - 1:
        return None  # the tail has classes of its own
    del rows[a]
    _renumber(world, name, rows, first, len(rows))
    return Place(name, first + a)


def insert(world: World, chance: random.Random) -> Place | None:
    name, rows = _log(world, chance)
    first, a = rows[0][0], chance.randrange(len(rows))
    rows.insert(a, (0, b'{"event":"forged"}', chance.randbytes(32)))
    _renumber(world, name, rows, first, len(rows))
    return Place(name, first + a)


def duplicate(world: World, chance: random.Random) -> Place | None:
    name, rows = _log(world, chance)
    first, a = rows[0][0], chance.randrange(len(rows))
    rows.insert(a, rows[a])
    _renumber(world, name, rows, first, len(rows))
    return Place(name, first + a + 1)


def truncate(world: World, chance: random.Random) -> Place | None:
    """The tail goes, and the stored head is made to fit."""
    name = chance.choice([log for log in sorted(world.logs) if log != CHECKPOINTS])
    rows, covered = world.logs[name], world.covered(name)
    last = chance.randint(rows[0][0], max(covered - 1, rows[0][0]))
    keep = [row for row in rows if row[0] <= last]
    if keep[-1][0] >= covered:
        return None
    world.logs[name], world.heads[name] = keep, (keep[-1][0], keep[-1][2])
    return Place(name, keep[-1][0] + 1)


def recompute(world: World, chance: random.Random) -> Place | None:
    """A record is edited and everything behind it computed anew."""
    name = chance.choice([log for log in sorted(world.logs) if log != CHECKPOINTS])
    rows, covered = world.logs[name], world.covered(name)
    at = chance.randrange(len(rows))
    if rows[at][0] > covered:
        return None
    rows[at] = (rows[at][0], _flip(rows[at][1], chance), rows[at][2])
    _rechain(world, name, at)
    return Place(name, rows[at][0], exact=False)


def recompute_without(world: World, chance: random.Random) -> Place | None:
    """A record goes, the others move up, and the chain is computed anew."""
    name = chance.choice([log for log in sorted(world.logs) if log != CHECKPOINTS])
    rows, covered = world.logs[name], world.covered(name)
    first, at = rows[0][0], chance.randrange(len(rows))
    if rows[at][0] > covered or len(rows) < 2:
        return None
    gone = rows.pop(at)[0]
    rows[:] = [(first + i, data, digest) for i, (_, data, digest) in enumerate(rows)]
    _rechain(world, name, at)
    return Place(name, gone, exact=False)


def change_head(world: World, chance: random.Random) -> Place | None:
    name = chance.choice(sorted(world.heads))
    sequence, digest = world.heads[name]
    if chance.random() < 0.5:
        world.heads[name] = (sequence, _flip(digest, chance))
        return Place(name, sequence)
    moved = sequence + chance.choice((-1, 1)) * chance.randint(1, 3)
    world.heads[name] = (moved, digest)
    return Place(name, min(sequence, moved) + 1)


def remove_log(world: World, chance: random.Random) -> Place | None:
    name = chance.choice([log for log in sorted(world.logs) if log != CHECKPOINTS])
    first = world.pruned.get(name, (0, b""))[0] + 1
    if world.covered(name) < first:
        return None
    del world.logs[name], world.heads[name]
    return Place(name, first)


def alter_checkpoint(world: World, chance: random.Random) -> Place | None:
    """What a checkpoint says is changed, and the chains are made to fit."""
    rows = world.logs[CHECKPOINTS]
    at = chance.randrange(len(rows))
    signed = json.loads(rows[at][1])
    document = signed["checkpoint"]
    choice = chance.randrange(5)
    if choice == 0:
        head = document["logs"][chance.choice(sorted(document["logs"]))]
        head["digest"] = _flip(bytes.fromhex(head["digest"]), chance).hex()
    elif choice == 1:
        document["logs"][chance.choice(sorted(document["logs"]))]["sequence"] += chance.choice((-1, 1))
    elif choice == 2:
        document["logs"].pop(chance.choice(sorted(document["logs"])))
    elif choice == 3:
        document["time"] = "2029-01-01T00:00:00.000Z"
    else:
        signed["signature"] = base64.b64encode(_flip(base64.b64decode(signed["signature"]), chance)).decode()
    rows[at] = (rows[at][0], canonical(signed), rows[at][2])
    _rechain(world, CHECKPOINTS, at)
    return Place(CHECKPOINTS, rows[at][0])


def forge_checkpoint(world: World, chance: random.Random) -> Place | None:
    """A checkpoint is signed with another key, and the chains are made to fit."""
    rows, forger = world.logs[CHECKPOINTS], Ed25519PrivateKey.from_private_bytes(chance.randbytes(32))
    at = chance.randrange(len(rows))
    signed = json.loads(rows[at][1])
    if chance.random() < 0.5:
        signed["key"] = hashlib.sha256(forger.public_key().public_bytes_raw()).hexdigest()
    signed["signature"] = base64.b64encode(forger.sign(canonical(signed["checkpoint"]))).decode()
    rows[at] = (rows[at][0], canonical(signed), rows[at][2])
    _rechain(world, CHECKPOINTS, at)
    return Place(CHECKPOINTS, rows[at][0])


def remove_checkpoint(world: World, chance: random.Random) -> Place | None:
    """A checkpoint goes, those behind it move up, and the chain of their log is computed anew."""
    rows = world.logs[CHECKPOINTS]
    at = chance.randrange(len(rows))
    if rows[at][0] > world.outside[-1]["number"]:
        return None
    gone = rows.pop(at)[0]
    rows[:] = [(i + 1, data, digest) for i, (_, data, digest) in enumerate(rows)]
    _rechain(world, CHECKPOINTS, at)
    return Place(CHECKPOINTS, gone)


def back_to_then(world: World, chance: random.Random) -> Place | None:
    """The whole store is as it was at an earlier checkpoint: only the copy kept elsewhere knows better."""
    rows, known = world.logs[CHECKPOINTS], world.outside[-1]["number"]
    keep = chance.randint(1, len(rows))
    if keep >= known or world.pruned:
        return None
    logs = json.loads(rows[keep - 1][1])["checkpoint"]["logs"]
    for name in [log for log in world.logs if log != CHECKPOINTS]:
        end = logs.get(name, {"sequence": 0})["sequence"]
        world.logs[name] = [row for row in world.logs[name] if row[0] <= end]
        world.heads[name] = (end, world.logs[name][-1][2] if end else START)
    world.logs[CHECKPOINTS] = rows[:keep]
    world.heads[CHECKPOINTS] = (keep, rows[keep - 1][2])
    return Place(CHECKPOINTS, keep + 1)


def other_key(world: World, chance: random.Random) -> Place | None:
    """The audit key is replaced, and every checkpoint signed anew with it."""
    forger = Ed25519PrivateKey.from_private_bytes(chance.randbytes(32))
    public = forger.public_key().public_bytes_raw()
    world.keys = [public]
    rows = world.logs[CHECKPOINTS]
    for at, (sequence, data, _) in enumerate(rows):
        document = json.loads(data)["checkpoint"]
        signature = base64.b64encode(forger.sign(canonical(document))).decode()
        signed = {"checkpoint": document, "key": hashlib.sha256(public).hexdigest(), "signature": signature}
        rows[at] = (sequence, canonical(signed), b"")
    _rechain(world, CHECKPOINTS, 0)
    return Place("copy", world.outside[-1]["number"])


def prune_in_secret(world: World, chance: random.Random) -> Place | None:
    """The oldest records go as if they had been pruned, half the time where a checkpoint saw the log end."""
    name = chance.choice([log for log in sorted(world.logs) if log != CHECKPOINTS])
    rows = world.logs[name]
    ends = [row for row in rows[:-1] if row[0] <= world.covered(name)]
    if chance.random() < 0.5:
        documents = [json.loads(row[1])["checkpoint"]["logs"].get(name) for row in world.logs[CHECKPOINTS]]
        seen = {document["sequence"] for document in documents if document}
        ends = [row for row in ends if row[0] in seen]
    if not ends:
        return None
    last = chance.choice(ends)
    world.logs[name] = [row for row in rows if row[0] > last[0]]
    world.pruned[name] = (last[0], last[2])
    return Place(name, last[0])


def change_pruned(world: World, chance: random.Random) -> Place | None:
    """The note of a genuine pruning is changed or removed."""
    if not world.pruned:
        return None
    name = chance.choice(sorted(world.pruned))
    sequence, digest = world.pruned[name]
    if chance.random() < 0.5:
        del world.pruned[name]
        return Place(name, 1)
    world.pruned[name] = (sequence, _flip(digest, chance))
    return Place(name, sequence)


MUTATIONS: tuple[Mutation, ...] = (
    edit_data, edit_digest, swap_content, swap_records, reorder, delete_one, delete_range, delete_and_renumber, insert,
    duplicate, truncate, recompute, recompute_without, change_head, remove_log, alter_checkpoint, forge_checkpoint,
    remove_checkpoint, back_to_then, other_key, prune_in_secret, change_pruned,
)  # fmt: skip


class Tally:
    """What came of the mutations."""

    def __init__(self) -> None:
        self.done: Counter[str] = Counter()
        self.misses: list[str] = []
        self.elsewhere = 0


def located(report: Report, place: Place) -> bool:
    """Whether a finding names the place."""
    found = [f for f in report.findings if f["log"] == place.log]
    if place.exact:  # with a tail, the event of a genuine pruning may be lost: that is told as well, and is true
        at = next((i for i, f in enumerate(found) if f["sequence"] == place.sequence), None)
        return at is not None and all(f["problem"] == "prune" for f in found[:at])
    # Where the last checkpoint before the end is missed, everything behind the one before is unproven, and told so.
    proven = next((log["proven"] for log in report.logs if log["log"] == place.log), 0)
    starts = ((min(f["sequence"], proven + 1) if f["problem"] == "truncated" else f["sequence"], f) for f in found)
    return any(start <= place.sequence <= f["until"] for start, f in starts)


def run(count: int, seed: int, *, elsewhere: int = ELSEWHERE) -> Tally:
    """Do `count` mutations that change something."""
    chance, tally, tried = random.Random(seed), Tally(), 0
    world = build(chance.randrange(1 << 32))
    while tally.done.total() < count:
        tried += 1
        if tried % FRESH == 0:
            world = build(chance.randrange(1 << 32))
            assert not verify_source(WorldSource(world), world.outside).findings
        mutate, changed = chance.choice(MUTATIONS), world.clone()
        place = mutate(changed, chance)
        if place is None or changed.same(world):
            continue
        tally.done[mutate.__name__] += 1
        report = verify_source(WorldSource(changed), changed.outside)
        if not located(report, place):
            tally.misses.append(f"{mutate.__name__}: {place}: {report.findings}")
        if tally.done.total() % elsewhere == 0:
            tally.elsewhere += 1
            tally.misses += [f"{mutate.__name__}: {where}" for where in _elsewhere(changed, report)]
    return tally


def _elsewhere(world: World, report: Report) -> list[str]:
    """Check the same in a SQLite store and in the files of an export; say where the findings differ."""
    wanted = [(f["log"], f["sequence"], f["problem"]) for f in report.findings]
    differing = []
    with tempfile.TemporaryDirectory() as folder:
        write_export(world, Path(folder, "export"))
        exported = verify_source(Export(str(Path(folder, "export"))), world.outside)
        write_store(world, Path(folder, "store"))
        stored = inspect(Path(folder, "store"), lambda reader: check(reader, world.outside))
        for where, found in (("export", exported), ("store", stored)):
            told = [(f["log"], f["sequence"], f["problem"]) for f in found.findings]
            if told != wanted:
                differing.append(f"{where} says {told}, not {wanted}")
    return differing


def main() -> int:
    """Print the seed, counts by class, and misses."""
    parser = argparse.ArgumentParser()
    parser.add_argument("count", type=int)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 32))
    options = parser.parse_args()
    print(f"mutations: seed {options.seed}", flush=True)  # noqa: T201
    tally = run(options.count, options.seed)
    for name, number in sorted(tally.done.items()):
        print(f"mutations: {name} {number}")  # noqa: T201
    for miss in tally.misses[:20]:
        print(f"mutations: MISSED {miss}")  # noqa: T201
    total = tally.done.total()
    print(f"mutations: {total} done, {len(tally.misses)} missed, {tally.elsewhere} alike in a store and an export")  # noqa: T201
    return 1 if tally.misses else 0


if __name__ == "__main__":
    sys.exit(main())
