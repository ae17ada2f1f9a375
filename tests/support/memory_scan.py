"""Looks for secrets in the memory of a running process: `/proc/<pid>/mem`, every readable mapping.

    python -m tests.support.memory_scan PID KEY_FILE...

prints, one a line, `<key file>:<form>` for each form of each private key that is found. Run it as its
own process: whoever reads a key file has the key in memory.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519, x25519

_CHUNK = 1 << 20


def find(pid: int, needles: Mapping[str, bytes]) -> set[str]:
    """Return the names of those needles that occur in the memory of the process."""
    hits: set[str] = set()
    overlap = max(map(len, needles.values())) - 1
    with open(f"/proc/{pid}/maps") as maps, open(f"/proc/{pid}/mem", "rb", buffering=0) as memory:
        for line in maps:
            span, rights, *_ = line.split()
            if not rights.startswith("r") or line.rstrip().endswith(("[vvar]", "[vsyscall]", "[vvar_vclock]")):
                continue
            begin, end = (int(part, 16) for part in span.split("-"))
            kept = b""
            for at in range(begin, end, _CHUNK):
                try:
                    memory.seek(at)
                    window = kept + memory.read(min(_CHUNK, end - at))
                except (OSError, ValueError, OverflowError):
                    break  # a mapping without pages behind it
                hits |= {name for name, needle in needles.items() if needle in window}
                kept = window[-overlap:]
    return hits


def forms(path: Path) -> dict[str, bytes]:
    """Return the forms in which the private key of a PEM file could lie in memory."""
    text = path.read_bytes()
    lines = [line for line in text.splitlines() if len(line) == 64 and b" " not in line]
    found = {f"{path.name}:text{number}": line[-40:] for number, line in enumerate(lines)}
    key = serialization.load_pem_private_key(text, None)
    if isinstance(key, (ed25519.Ed25519PrivateKey, x25519.X25519PrivateKey)):
        return found | {f"{path.name}:raw": key.private_bytes_raw()}
    scalar = key.private_numbers().private_value  # type: ignore[union-attr]
    return found | {
        f"{path.name}:big": scalar.to_bytes(32, "big"),
        f"{path.name}:little": scalar.to_bytes(32, "little"),
    }


def main(pid: str, *paths: str) -> None:
    """Print what is found."""
    needles: dict[str, bytes] = {}
    for path in paths:
        needles |= forms(Path(path))
    sys.stdout.write("".join(f"{name}\n" for name in sorted(find(int(pid), needles))))


if __name__ == "__main__":
    main(*sys.argv[1:])
