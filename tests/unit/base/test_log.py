"""Logs: shape of text and JSON, levels, what is never shown."""

import datetime as dt
import io
import json
import logging

import pytest

from teleport.base import log
from teleport.base.clock import ManualClock
from teleport.base.errors import BadParameter
from teleport.base.struct import Secret

NOW = dt.datetime(2026, 1, 21, 18, 11, 16, 320_000, tzinfo=dt.UTC)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def _restore():
    root = logging.getLogger()  # noqa: TID251
    handlers, levels = list(root.handlers), (root.level, logging.getLogger("teleport").level)  # noqa: TID251
    yield
    root.handlers[:] = handlers
    root.setLevel(levels[0])
    logging.getLogger("teleport").setLevel(levels[1])  # noqa: TID251


@pytest.fixture
def stream(monkeypatch):
    monkeypatch.setenv("TZ", "UTC")
    out = io.StringIO()
    log.setup(level="debug", stream=out, clock=ManualClock(NOW))
    return out


def test_text_line_has_the_documented_shape(stream):
    log.logger("proc:1").info("Got signal", name="user defined signal 1", target="a.b:11106")
    line = stream.getvalue()
    _, rest = line.split(" ", 1)
    assert rest.startswith(
        'INFO [PROC:1]    Got signal name:"user defined signal 1" target:a.b:11106 base/test_log.py:'
    )


def test_timestamp_has_milliseconds_and_zone(stream):
    log.logger("AUTH").warn("x")
    stamp = stream.getvalue().split(" ")[0]
    assert "." in stamp
    assert dt.datetime.fromisoformat(stamp) == NOW


@pytest.mark.parametrize(
    ("method", "short"), [("trace", "TRAC"), ("debug", "DEBU"), ("info", "INFO"), ("warn", "WARN"),
                          ("error", "ERRO"), ("fatal", "FATA")],
)  # fmt: skip
def test_level_names_have_four_letters(stream, method, short):
    log.set_level("TRACE")
    getattr(log.logger("A"), method)("m")
    assert f" {short} [A]         m " in stream.getvalue()


def test_component_is_cut_to_nine(stream):
    log.logger("node:proxy:1").info("m")
    assert "[NODE:PROX] m" in stream.getvalue()


def test_terminal_gets_colour_and_no_time(monkeypatch):
    monkeypatch.delenv("NO_COLOR", raising=False)
    out = Terminal()
    log.setup(stream=out, clock=ManualClock(NOW))
    log.logger("A").info("m")
    assert out.getvalue().startswith("\x1b[32mINFO\x1b[0m [A]")


def test_no_color_is_respected(monkeypatch):
    monkeypatch.setenv("NO_COLOR", "1")
    out = Terminal()
    log.setup(stream=out, clock=ManualClock(NOW))
    log.logger("A").info("m")
    assert out.getvalue().startswith("INFO [A]")


def test_extra_fields_choose_and_order():
    out = io.StringIO()
    log.setup(stream=out, extra_fields=["component", "level"])
    log.logger("AUTH").warn("lock is in force")
    assert out.getvalue() == "[AUTH]      WARN lock is in force\n"


def test_json_has_the_documented_keys():
    out = io.StringIO()
    log.setup(output_format="json", stream=out, clock=ManualClock(NOW))
    log.logger("AUTH").warn("m\nn", count=3, level="x", secret=Secret("s"), ratio=float("nan"), gone=None)
    line = json.loads(out.getvalue())
    assert line["level"] == "warning"
    assert line["component"] == "AUTH"
    assert line["message"] == "m\nn"
    assert line["caller"].startswith("base/test_log.py:")
    assert (line["count"], line["field.level"], line["secret"], line["ratio"], line["gone"]) == (
        3, "x", "******", "nan", None,
    )  # fmt: skip
    assert out.getvalue().count("\n") == 1


def test_secret_prints_as_stars(stream):
    log.logger("A").info("m", password=Secret("hunter2"), inside=[Secret("hunter2")])
    assert "hunter2" not in stream.getvalue()
    assert "password:******" in stream.getvalue()


def test_error_shows_type_code_and_origin_only_in_debug(stream):
    try:
        raise ValueError("no\nline")
    except ValueError as problem:
        log.logger("A").error("failed", error=problem)
        log.set_level("INFO")
        log.logger("A").error("failed", error=problem)
    first, second = stream.getvalue().splitlines()
    assert 'error:"ValueError: no\\nline"' in first
    assert "at:" in first
    assert "at:" not in second


def test_our_errors_show_their_code(stream):
    log.logger("A").error("failed", error=BadParameter("CFG-DURATION", value="x"))
    assert "(CFG-DURATION)" in stream.getvalue()


def test_field_that_cannot_be_printed_is_named(stream):
    class Broken:
        def __str__(self) -> str:
            raise RuntimeError

    log.logger("A").info("m", value=Broken())
    assert "value:<Broken>" in stream.getvalue()


def test_silent_level_formats_nothing(stream):
    class Costly:
        def __str__(self) -> str:
            raise AssertionError("formatted")

    log.set_level("INFO")
    log.logger("A").debug("m", value=Costly())
    assert stream.getvalue() == ""
    assert not log.logger("A").enabled("debug")


def test_libraries_speak_from_warn_up(stream):
    library = logging.getLogger("asyncssh.channel")  # noqa: TID251
    library.info("chatter")
    library.warning("careful %s", "now")
    assert "chatter" not in stream.getvalue()
    assert "WARN [ASYNCSSH]  careful now" in stream.getvalue()


def test_exception_logged_by_a_library_stays_on_one_line(stream):
    try:
        raise OSError("a\nb")
    except OSError:
        logging.getLogger("aiohttp").exception("failed")  # noqa: TID251
    assert stream.getvalue().count("\n") == 1


def test_level_changes_live_and_returns_the_old_one(stream):
    assert log.set_level("Warning") == "DEBUG"
    assert log.get_level() == "WARN"


def test_unknown_level_is_refused_with_the_documented_text():
    with pytest.raises(BadParameter) as caught:
        log.set_level("LOUD")
    assert str(caught.value) == '"LOUD" log level not supported'


@pytest.mark.parametrize("bad", [{"output_format": "xml"}, {"extra_fields": ["colour"]}])
def test_unknown_format_is_refused(bad):
    with pytest.raises(BadParameter, match="log format"):
        log.setup(**bad)


def test_setup_again_replaces_the_former_stream(stream):
    second = io.StringIO()
    log.setup(stream=second)
    log.logger("A").info("m")
    assert stream.getvalue() == ""
    assert second.getvalue()


def test_a_stream_that_is_gone_is_no_error(stream):
    stream.close()
    log.logger("A").info("m")


def test_stderr_is_the_default(capsys):
    log.setup()
    log.logger("A").info("m")
    assert "[A]" in capsys.readouterr().err


def test_a_report_has_lines_of_its_own_and_none_of_them_can_make_more(stream):
    """S1-56: in brackets, with tabs at the beginning; whatever else does not print stays escaped."""
    log.logger("tbot:proxy").error("Failed", error=log.Report(["ERROR REPORT:", "\tframe", "User Message: a\nb\x1b"]))
    _, rest = stream.getvalue().split(" ", 1)
    assert rest.startswith(
        "ERRO [TBOT:PROX] Failed error:[\nERROR REPORT:\n\tframe\nUser Message: a\\nb\\x1b] base/test_"
    )


def test_a_report_is_one_text_of_json():
    out = io.StringIO()
    log.setup(level="info", stream=out, output_format="json")
    log.logger("tbot").error("Failed", error=log.Report(["one", "\ttwo"]))
    assert json.loads(out.getvalue())["error"] == "one\n\ttwo"
