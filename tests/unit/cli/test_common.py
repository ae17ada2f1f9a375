"""Reports of errors, formats, running a click command."""

import json
from collections.abc import Callable

import click
import pytest
import yaml

from teleport.base import log
from teleport.base.errors import BadParameter, Internal, NotFound
from teleport.base.struct import Secret, Struct
from teleport.cli import common


@pytest.fixture(autouse=True)
def _level():
    former = log.get_level()
    yield
    log.set_level(former)


def command(body: Callable[..., object]) -> click.Command:
    return click.command("thing")(click.argument("word", default="")(body))


def test_report_has_a_line_for_each_part(capsys):
    common.report(BadParameter("CFG-DURATION", id="abc", value="5q"))
    out, err = capsys.readouterr()
    assert out == ""
    assert err == (
        "ERROR: '5q' is not a duration\n"
        "  code: CFG-DURATION\n"
        "  why:  a duration is numbers with units, for example 30m, 1h30m or 12h\n"
        "  fix:  write it with the units d, h, m, s, ms\n"
        "  id:   abc\n"
    )


def test_empty_parts_are_left_out(capsys):
    common.report(BadParameter("CLI-UNKNOWN-COMMAND", program="tsh", wanted="x", hint=""))
    assert "why" not in capsys.readouterr().err


def test_a_value_cannot_pose_as_another_line_or_command_the_terminal(capsys):
    common.report(Internal("API-REMOTE", remote_code="X", message="no\n  fix:  curl evil | sh\x1b[2J"))
    err = capsys.readouterr().err
    assert "\n  fix:  curl" not in err
    assert "\x1b" not in err


def test_json_has_four_blanks_and_is_always_an_array_for_lists(capsys):
    common.show([{"a": "한"}], "json")
    assert capsys.readouterr().out == '[\n    {\n        "a": "한"\n    }\n]\n'
    common.show([], "json")
    assert capsys.readouterr().out == "[]\n"


def test_json_hides_what_a_terminal_obeys():
    text = common.render({"a": "\x9b2J\u202e"}, "json")
    assert text.isprintable() is False  # line ends only
    assert "\x9b" not in text
    assert json.loads(text) == {"a": "\x9b2J\u202e"}


def test_yaml_is_sorted_with_a_document_for_each_entry():
    text = common.render([{"b": "yes", "a": 1}, {"c": []}], "yaml")
    assert text == "a: 1\nb: 'yes'\n---\nc: []\n"
    assert list(yaml.safe_load_all(text)) == [{"b": "yes", "a": 1}, {"c": []}]
    assert common.render("x", "yaml") == "x\n"


def test_structs_are_shown_without_secrets():
    class Thing(Struct, frozen=True, kw_only=True):
        key: Secret

    assert "hunter2" not in common.render([Thing(key=Secret("hunter2"))], "json")


def test_result_of_a_command_is_its_status():
    assert common.invoke(command(lambda word: None), "x thing", []) == 0
    assert common.invoke(command(lambda word: 3), "x thing", []) == 3


def test_help_of_a_command(capsys):
    assert common.invoke(command(lambda word: None), "tsh thing", ["--help"]) == 0
    assert "Usage: tsh thing" in capsys.readouterr().out


def test_misuse_shows_usage_then_the_error(capsys):
    assert common.invoke(command(lambda word: None), "tsh thing", ["--nope"]) == 2
    err = capsys.readouterr().err
    assert err.startswith("Usage: tsh thing")
    assert "ERROR: No such option" in err
    assert "code: CLI-USAGE" in err
    assert "`tsh thing --help`" in err


def test_other_errors_of_click_are_ours():
    def body(word: str) -> None:
        raise click.ClickException("no")

    with pytest.raises(BadParameter, match="no"):
        common.invoke(command(body), "tsh thing", [])


def test_abort_is_an_interrupt():
    def body(word: str) -> None:
        raise click.Abort

    with pytest.raises(KeyboardInterrupt):
        common.invoke(command(body), "tsh thing", [])


def test_debug_is_accepted_after_the_command():
    log.setup(level="WARN")
    seen = []
    common.invoke(command(lambda word: seen.append(log.get_level())), "tsh thing", ["-d", "word"])
    common.invoke(command(lambda word: seen.append(word)), "tsh thing", ["--debug", "word"])
    assert seen == ["DEBUG", "word"]


def test_a_command_keeps_its_own_d(capsys):
    @click.command()
    @click.option("-d", "directory")
    def own(directory: str) -> None:
        click.echo(directory)

    assert common.invoke(own, "tsh own", ["-d", "x", "--debug"]) == 0
    assert common.invoke(own, "tsh own", ["-d", "y"]) == 0
    assert capsys.readouterr().out == "x\ny\n"


def test_format_option_is_called_output_format(capsys):
    @click.command()
    @common.format_option
    def listed(output_format: str) -> None:
        click.echo(output_format)

    common.invoke(listed, "tsh listed", ["--format", "json"])
    common.invoke(listed, "tsh listed", [])
    assert capsys.readouterr().out == "json\ntext\n"
    assert common.invoke(listed, "tsh listed", ["--format", "xml"]) == 2


def test_known_errors_are_reported_without_trace(capsys):
    log.setup(level="WARN")
    assert common.failure(NotFound("DISK-MISSING", path="/x")) == 1
    assert capsys.readouterr().err.startswith("ERROR: /x does not exist\n  code: DISK-MISSING\n")


def test_unexpected_errors_have_a_code_and_a_trace_only_in_debug(capsys):
    def failed() -> Exception:
        try:
            raise ValueError("odd")
        except ValueError as error:
            return error

    log.setup(level="WARN")
    assert common.failure(failed()) == 1
    quiet = capsys.readouterr().err
    assert quiet.startswith("ERROR: unexpected condition: ValueError: odd\n  code: CLI-INTERNAL\n")
    assert "Traceback" not in quiet
    log.set_level("DEBUG")
    common.failure(failed())
    assert "Traceback" in capsys.readouterr().err


def test_error_inside_a_task_group_is_found(capsys):
    inner = NotFound("DISK-MISSING", path="/x")
    common.failure(ExceptionGroup("tasks", [ExceptionGroup("more", [inner])]))
    assert "DISK-MISSING" in capsys.readouterr().err
