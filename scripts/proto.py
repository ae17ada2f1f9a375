"""Generates src/teleport/api/pb/ from proto/teleport/v1/*.proto. Run by `make proto`.

Only messages are generated; which methods exist is read from the descriptors by `api.rpc`. protoc names
modules after the proto package (`teleport.v1`), so imports are rewritten to where the files stand.
"""

from __future__ import annotations

import contextlib
import io
import re
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PROTO = ROOT / "proto"
TARGET = ROOT / "src/teleport/api/pb"
HEADER = '"""Generated messages of proto/teleport/v1 (`make proto`). Not for reading; no code of ours."""\n'


def generate() -> dict[str, str]:
    """Return the text of every generated file by name. Raises SystemExit when protoc refuses."""
    import grpc_tools  # type: ignore[import-untyped]
    from grpc_tools import protoc

    sources = sorted(str(path) for path in (PROTO / "teleport/v1").glob("*.proto"))
    well_known = Path(grpc_tools.__file__).parent / "_proto"
    with tempfile.TemporaryDirectory() as folder:
        arguments = ["protoc", f"-I{PROTO}", f"-I{well_known}", f"--python_out={folder}", f"--pyi_out={folder}"]
        with contextlib.redirect_stderr(io.StringIO()) as problems:
            status = protoc.main([*arguments, *sources])
        if status != 0:
            raise SystemExit(f"protoc failed: {problems.getvalue()}")
        made = {path.name: _rewrite(path.read_text()) for path in sorted(Path(folder, "teleport/v1").iterdir())}
    return {"__init__.py": HEADER, **made}


def _rewrite(text: str) -> str:
    return re.sub(r"^from teleport\.v1 import", "from teleport.api.pb import", text, flags=re.MULTILINE)


def stale() -> list[str]:
    """Return the names of files that differ from what protoc makes now, or that it does not make."""
    made = generate()
    present = {path.name: path.read_text() for path in TARGET.iterdir() if path.suffix in (".py", ".pyi")}
    return sorted(name for name in made.keys() | present.keys() if made.get(name) != present.get(name))


def main() -> None:
    """Write the files, and remove those of messages that are gone."""
    made = generate()
    for path in TARGET.iterdir():
        if path.suffix in (".py", ".pyi") and path.name not in made:
            path.unlink()
    for name, text in made.items():
        (TARGET / name).write_text(text)
    print(f"proto: {len(made)} files in {TARGET.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
