"""tsh scp and tsh sftp: what their command lines mean, before anything is connected."""

import pytest

from teleport.base.errors import BadParameter, TeleportError
from teleport.cli.common import invoke
from teleport.cli.tsh.scp import _only_host, scp
from teleport.cli.tsh.sftp import sftp
from teleport.client.sftp.names import Place, parse_place


@pytest.mark.parametrize(
    ("words", "host"),
    [(["a", "b", "me@n:"], "me@n"), (["n:a", "."], "n"), (["n:a", "n:b", "d"], "n"), (["./x:y", "n:z"], "n")],
)
def test_one_side_is_a_node(words, host):
    *sources, target = map(parse_place, words)
    assert _only_host(sources, target) == host


@pytest.mark.parametrize(
    "words", [["a"], ["a", "b"], ["n:a", "n:b"], ["n:a", "m:b", "."], ["n:a", "b", "c"], ["a", "n:b", "m:c"], ["n:a"]]
)
def test_both_or_none_are_refused(words):
    *sources, target = map(parse_place, words)
    with pytest.raises(BadParameter) as caught:
        _only_host(sources, target)
    assert caught.value.code == "CLIENT-COPY-SIDES"


def test_places_in_an_error_do_not_reach_the_terminal():
    with pytest.raises(BadParameter) as caught:
        _only_host([Place(b"\x1b[2J")], Place(b"x"))
    assert str(caught.value).isprintable()


@pytest.mark.parametrize(
    ("words", "code"),
    [(["a", "b"], "CLIENT-COPY-SIDES"), ([":a", "b"], "CLIENT-COPY-PLACE"), (["a", "n:b"], "CLIENT-NOT-LOGGED-IN")],
)
def test_mistakes_come_before_the_sign_in(words, code):
    with pytest.raises(TeleportError) as caught:
        invoke(scp, "scp", words)
    assert caught.value.code == code


def test_sftp_needs_the_program(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(TeleportError) as caught:
        invoke(sftp, "sftp", ["me@node"])
    assert caught.value.code == "CLIENT-NO-SFTP"
