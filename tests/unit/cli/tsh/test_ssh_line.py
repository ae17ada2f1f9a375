"""The command line of tsh ssh, read as OpenSSH reads its own."""

import click
import pytest

from teleport.base.errors import BadParameter
from teleport.cli.tsh.ssh_line import Options, SshCommand, options
from teleport.client.forwards import parse


@click.command("x", cls=SshCommand, context_settings={"allow_interspersed_args": False})
@click.option("-t", "terminal", count=True)
@click.option("-p", "port", default="")
@click.argument("target")
@click.argument("command", nargs=-1)
def line(**found):
    return found["terminal"], found["port"], found["target"], found["command"]


def read(words):
    with line.make_context("x", words.split()) as context:
        return line.invoke(context)


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("host", (0, "", "host", ())),
        ("-t host ls -l", (1, "", "host", ("ls", "-l"))),
        ("host -t ls -l", (1, "", "host", ("ls", "-l"))),
        ("host -p 22 -t", (1, "22", "host", ())),
        ("-t host -t -p22 top -t", (2, "22", "host", ("top", "-t"))),
        ("host -- ls -t", (0, "", "host", ("ls", "-t"))),
        ("host -- -t", (0, "", "host", ("-t",))),
        ("host -t -- ls -- x", (1, "", "host", ("ls", "--", "x"))),
        ("-- host -t", (0, "", "host", ("-t",))),
        ("host - x", (0, "", "host", ("-", "x"))),
    ],
)
def test_options_stand_before_the_target_or_behind_it(words, found):
    assert read(words) == found


def test_what_is_no_option_is_said():
    with pytest.raises(click.UsageError):
        read("host -z")


@pytest.mark.parametrize(
    ("given", "found"),
    [
        ((), Options()),
        (("User=root", "port 2222", "HostName = node-1"), Options("root", 2222, "node-1")),
        (("ForwardAgent=no", "ForwardX11 no", "StrictHostKeyChecking=yes"), Options()),
        (("ForwardAgent yes", "RequestTTY=force"), Options(agent=True, terminal="force")),
        (("RequestTTY=auto",), Options()),
        (
            ("LocalForward 8080 web:80", "RemoteForward=9000 h:1", "DynamicForward 1080"),
            Options(forwards=(parse("L", "8080:web:80"), parse("R", "9000:h:1"), parse("D", "1080"))),
        ),
    ],
)
def test_options_that_are_known(given, found):
    assert options(given) == found


@pytest.mark.parametrize(
    "text",
    ["ProxyCommand=x", "Port=x", "Port=0", "Port=70000", "User=", "User", "=x", "StrictHostKeyChecking=no", "",
     "RequestTTY=x", "ForwardX11=yes", "LocalForward="],
)  # fmt: skip
def test_options_that_are_not(text):
    with pytest.raises(BadParameter) as caught:
        options((text,))
    assert caught.value.code == "CLIENT-SSH-OPTION"
