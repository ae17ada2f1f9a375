"""`teleport debug`: what is printed for the answers of a process. Rows S0-06 to S0-08, S0-11."""

import http.server
import io
import json
import socketserver
import sys
import tarfile
import threading

import pytest

from teleport.cli.entry import main


class Answers(http.server.BaseHTTPRequestHandler):
    """Answers from a table, and notes what it was asked."""

    table = {}
    asked = []

    def answer(self):
        length = int(self.headers.get("Content-Length", 0))
        self.asked.append((self.command, self.path, self.rfile.read(length).decode()))
        status, body = self.table[self.path.partition("?")[0]]
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_PUT = answer  # noqa: N815 - the library's names

    def log_message(self, *args):
        pass

    def address_string(self):
        return ""


class Server(socketserver.UnixStreamServer):
    """HTTP on a unix socket."""

    def get_request(self):
        request, _ = super().get_request()
        return request, ("", 0)


@pytest.fixture
def process(tmp_path, monkeypatch):
    """A process that answers; the command finds it through its configuration."""
    (tmp_path / "t.yaml").write_text(f"version: v3\nteleport: {{data_dir: {tmp_path}}}\n")
    monkeypatch.setenv("TELEPORT_CONFIG_FILE", str(tmp_path / "t.yaml"))
    monkeypatch.delenv("TELEPORT_CONFIG", raising=False)
    Answers.table, Answers.asked = {}, []
    with Server(str(tmp_path / "debug.sock"), Answers) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield Answers
        server.shutdown()
        thread.join()


def told(code, /, **data):
    return code, json.dumps(data).encode()


@pytest.mark.parametrize("words", [["debug", "set-log-level"], ["set-log-level"]])
def test_changing_the_level(process, capsys, words):
    process.table["/log-level"] = told(200, old="INFO", new="DEBUG")
    assert main("teleport", [*words, "DEBUG"]) == 0
    assert capsys.readouterr().out == 'Changed log level from "INFO" to "DEBUG".\n'
    assert process.asked == [("PUT", "/log-level", "DEBUG")]
    process.table["/log-level"] = told(200, old="DEBUG", new="DEBUG")
    assert main("teleport", [*words, "debug"]) == 0
    assert capsys.readouterr().out == 'Log level already set to "DEBUG".\n'


def test_the_alias_is_not_in_help(capsys):
    assert main("teleport", ["help"]) == 0
    assert "\n  set-log-level" not in capsys.readouterr().out


def test_a_refusal_is_the_same_error_here(process, capsys):
    process.table["/log-level"] = told(400, code="CFG-LOG-LEVEL", fields={"level": "X"}, grpc=3)
    assert main("teleport", ["debug", "set-log-level", "X"]) == 1
    assert capsys.readouterr().err.startswith('ERROR: "X" log level not supported\n  code: CFG-LOG-LEVEL\n')


def test_reading_the_level(process, capsys):
    process.table["/log-level"] = (200, b"INFO")
    assert main("teleport", ["debug", "get-log-level"]) == 0
    assert capsys.readouterr().out == 'Current log level "INFO"\n'


@pytest.mark.parametrize(("status", "word", "ended"), [(200, "ok", 0), (503, "not ready", 1)])
def test_readiness(process, capsys, status, word, ended):
    process.table["/readyz"] = told(status, status=word, services={"auth": "ready"})
    assert main("teleport", ["debug", "readyz"]) == ended
    assert capsys.readouterr().out == f"{word}\n  auth: ready\n"


def test_answers_for_programs(process, capsys):
    process.table = {"/log-level": (200, b"WARN"), "/readyz": told(200, status="ok", services={"auth": "ready"})}
    assert main("teleport", ["debug", "get-log-level", "--format=json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"level": "WARN"}
    assert main("teleport", ["debug", "readyz", "-f", "yaml"]) == 0
    assert capsys.readouterr().out == "services:\n  auth: ready\nstatus: ok\n"


def test_metrics(process, capsys):
    process.table["/metrics"] = (200, b"a 1\n")
    assert main("teleport", ["debug", "metrics"]) == 0
    assert capsys.readouterr().out == "a 1\n"


class Binary(io.StringIO):
    """Standard output that keeps bytes."""

    def __init__(self):
        super().__init__()
        self.buffer = io.BytesIO()


@pytest.mark.parametrize(
    ("words", "names"),
    [([], ["goroutine", "heap", "profile"]), (["heap, heap,allocs"], ["heap", "allocs"]), (["cmdline"], ["cmdline"])],
)
def test_profiles_are_packed(process, monkeypatch, words, names):
    for name in names:
        process.table[f"/debug/pprof/{name}"] = (200, name.encode() * 3)
    out = Binary()
    monkeypatch.setattr(sys, "stdout", out)
    assert main("teleport", ["debug", "profile", "-s", "7", *words]) == 0
    with tarfile.open(fileobj=io.BytesIO(out.buffer.getvalue()), mode="r:gz") as archive:
        assert archive.getnames() == [f"{name}.pprof" for name in names]
        assert archive.extractfile(f"{names[0]}.pprof").read() == names[0].encode() * 3
    timed = [path for _, path, _ in process.asked if "seconds" in path]
    assert timed == [f"/debug/pprof/{name}?seconds=7" for name in names if name in ("profile", "allocs")]


def test_profiles_that_do_not_exist_are_not_asked_for(process, capsys):
    assert main("teleport", ["debug", "profile", "heap,trace"]) == 1
    assert "PROC-PROFILE" in capsys.readouterr().err
    assert process.asked == []


def test_an_archive_is_not_written_to_a_terminal(process, monkeypatch, capsys):
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    assert main("teleport", ["debug", "profile"]) == 1
    assert "CLI-BINARY" in capsys.readouterr().err


def test_an_answer_of_something_else_is_told(process, capsys):
    process.table["/metrics"] = (500, b"<html>")
    assert main("teleport", ["debug", "metrics"]) == 1
    assert "PROC-DEBUG-SOCKET" in capsys.readouterr().err


def test_no_process(tmp_path, capsys):
    (tmp_path / "t.yaml").write_text(f"version: v3\nteleport: {{data_dir: {tmp_path}}}\n")
    assert main("teleport", ["debug", "get-log-level", "-c", str(tmp_path / "t.yaml")]) == 1
    assert f"Unable to reach debug service socket at {tmp_path}/debug.sock" in capsys.readouterr().err


def test_no_configuration_where_one_was_named(tmp_path, capsys):
    assert main("teleport", ["debug", "get-log-level", "-c", str(tmp_path / "none.yaml")]) == 1
    assert "PROC-CONFIG-MISSING" in capsys.readouterr().err
