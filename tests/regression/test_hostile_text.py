"""Failures of the past in text that strangers write: documents, JSON, names, log lines. One test for each class.

The name of a test says the case it is known by. Certificates have theirs in `unit/pki`, connections in
`integration/test_bad_peers`.
"""

from __future__ import annotations

import io
import json
import logging
import time
from collections.abc import Callable

import pytest

from teleport.access import predicate
from teleport.base import regexp, yaml
from teleport.base.clock import SystemClock
from teleport.base.errors import BadParameter, NotFound, TeleportError, from_grpc
from teleport.base.log_line import EXTRA_FIELDS, LineHandler
from teleport.base.struct import Duration, decode
from teleport.base.text import parse_labels, table
from teleport.client.profile import Files
from teleport.model import document, template
from teleport.model.address import parse_addr
from teleport.model.config import teleport_yaml
from teleport.model.login import is_login
from teleport.model.naming import name_problem
from teleport.net.dial import parse_address
from teleport.pki import der
from teleport.pki.ssh_wire import Malformed
from teleport.web.login import CertificateRequest
from teleport.wire import proxy_header

READERS = [
    pytest.param(lambda text: document.read(text, "f.yaml"), id="document"),
    pytest.param(lambda text: teleport_yaml.load(text, "f.yaml"), id="config"),
]
ROLE = "kind: role\nversion: v7\nmetadata: {name: dev}\nspec: {allow: {logins: [alice]}}\n"


def refusal(call: Callable[..., object], *arguments: object) -> TeleportError:
    """Return the error of a call that must fail soon: seconds of processor time are too much for any text."""
    began = time.process_time()
    with pytest.raises(TeleportError) as caught:
        call(*arguments)
    assert time.process_time() - began < 2.0
    assert len(caught.value.what) < 20_000
    return caught.value


# YAML


def laughs(depth: int, width: int, leaf: str) -> str:
    """Aliases of aliases: `width ** depth` times `leaf` in a few hundred bytes."""
    lines = [f"a0: &a0 {leaf}"]
    lines += [f"a{n}: &a{n} [{','.join([f'*a{n - 1}'] * width)}]" for n in range(1, depth + 1)]
    return "\n".join(lines)


@pytest.mark.parametrize("read", READERS)
@pytest.mark.parametrize(
    "text",
    [
        pytest.param(laughs(9, 9, "lol"), id="cve_2019_11253_billion_laughs"),
        pytest.param(laughs(9, 9, "[]"), id="cve_2021_4235_laughs_without_a_word"),
        pytest.param("a: &a [*a]", id="a_list_in_itself"),
        pytest.param("a: &a {<<: *a}", id="a_map_merged_into_itself"),
        pytest.param("a: &a " + "x" * 60_000 + "\nb: [" + "*a," * 60 + "]", id="one_long_text_many_times"),
        pytest.param("[" * 5_000 + "]" * 5_000, id="cve_2020_36518_deep_lists"),
        pytest.param("{a: " * 5_000, id="deep_maps"),
        pytest.param("- " * 50_000, id="deep_dashes"),
        pytest.param("x: " + "y" * 1_000_001, id="cve_2022_3064_a_huge_scalar"),
        pytest.param("[" + "a," * 100_001 + "]", id="many_nodes"),
    ],
)
def test_a_yaml_bomb_is_refused_before_it_goes_off(read: Callable[[str], object], text: str) -> None:
    assert refusal(read, text).code == "CFG-YAML-BOMB"


@pytest.mark.parametrize("levels", [20, 60])
def test_merge_keys_cannot_multiply(levels: int) -> None:
    """Each map merges the one before twice: two to the power of `levels` if every merge were taken anew."""
    lines = ["a0: &a0 {k0: 1}"]
    lines += [f"a{n}: &a{n} {{<<: [*a{n - 1}, *a{n - 1}], k{n}: 1}}" for n in range(1, levels)]
    assert refusal(yaml.documents, "\n".join(lines), "f").code == "CFG-YAML-BOMB"


@pytest.mark.parametrize("read", READERS)
@pytest.mark.parametrize(
    "tag",
    [
        pytest.param("!!python/object/apply:os.system [touch x]", id="cve_2017_18342"),
        pytest.param("!!python/object/new:type {args: [z, !!python/tuple [], {extend: x}]}", id="cve_2020_14343"),
        pytest.param(
            "!!python/object/new:tuple [!!python/object/new:map [!!python/name:eval , [x]]]", id="cve_2020_1747"
        ),
        pytest.param("!!python/name:os.system", id="name"),
        pytest.param("!!python/module:os", id="module"),
        pytest.param("!<tag:yaml.org,2002:python/object:os.PathLike> {}", id="verbatim"),
        pytest.param("!include /etc/passwd", id="include"),
        pytest.param("!!binary aGk=", id="binary"),
    ],
)
def test_a_tag_makes_no_object(read: Callable[[str], object], tag: str) -> None:
    assert refusal(read, f"version: {tag}\nkind: {tag}\n").code == "CFG-YAML-SYNTAX"


@pytest.mark.parametrize("read", READERS)
@pytest.mark.parametrize("digits", ["9" * 100_000, "0x" + "f" * 100_000, "0" + "7" * 100_000, "0b" + "1" * 100_000])
def test_cve_2020_10735_numbers_without_end_are_refused(read: Callable[[str], object], digits: str) -> None:
    assert refusal(read, f"version: {digits}").code == "CFG-YAML-SYNTAX"
    assert refusal(read, f"ssh_service: {{enabled: {digits}}}").code == "CFG-YAML-SYNTAX"


@pytest.mark.parametrize("read", READERS)
def test_a_hundred_thousand_wrong_keys_are_told_briefly(read: Callable[[str], object]) -> None:
    """Looking for the word that was meant costs far more than reading the key."""
    keys = "".join(f"  enablde{number}: 1\n" for number in range(40_000))
    error = refusal(read, f"kind: role\nmetadata:\n  name: x\nspec:\n{keys}auth_service:\n{keys}"[:990_000] + "\n")
    assert len(error.what.splitlines()) <= 51


@pytest.mark.parametrize("key", ["logins", '"logins"', "'logins'", '"\\x6cogins"', '"\\u006cogins"'])
def test_a_key_given_twice_is_refused_however_it_is_spelled(key: str) -> None:
    text = ROLE.replace("{logins: [alice]}", f"{{logins: [alice], {key}: [root]}}")
    assert "is given twice" in refusal(document.read, text, "f.yaml").what


# JSON


def asked(text: str) -> CertificateRequest:
    return decode(text.encode(), CertificateRequest)


BODY = '{"user":"alice","password":"p","ssh_pub_key":"s","tls_pub_key":"t"'


def test_cve_2024_29201_an_escaped_key_is_the_key_it_spells() -> None:
    assert asked(BODY.replace('"user"', '"\\u0075ser"') + "}").user == "alice"
    with pytest.raises(Exception, match="unknown field"):
        asked(BODY + ',"\\u0072oles":["editor"]}')


def test_cve_2017_12635_of_a_key_given_twice_one_value_is_used_by_all() -> None:
    """One parser reads, and everything behind it sees what it read: no second reading can choose the other."""
    assert asked(BODY + ',"user":"root"}').user == "root"
    assert asked(BODY + ',"\\u0075ser":"root"}').user == "root"


@pytest.mark.parametrize(
    "text", ["[" * 100_000, '{"a":' * 100_000, '"\xff"', '{"user":"\ud800"}', "9" * 100_000, "NaN"]
)
def test_hostile_json_is_the_decoders_own_error(text: str) -> None:
    began = time.process_time()
    with pytest.raises(Exception) as caught:
        decode(text.encode("latin-1" if "\xff" in text else "utf-8", "surrogatepass"), CertificateRequest)
    assert type(caught.value).__module__ == "msgspec"
    assert time.process_time() - began < 1.0


# Names


@pytest.mark.parametrize(
    "name",
    ["..", ".", "...", "../../etc/passwd", "a/b", "/etc/passwd", "a\0b", "a\nb", "a\r\nb", "~/x/..", "a,b", " a", "a ",
     "-x", "\u202egpj.exe", "a\u200bb", "a\ufeffb", "e\u0301", "\x1b[2J", "a\u2028b", "\ud800", ""],
)  # fmt: skip
def test_a_name_leads_nowhere_else(name: str) -> None:
    """Path tricks, list separators (CVE-2026-35414), options (CVE-2017-1000117), invisible and reordering characters
    (CVE-2021-42574), look-alikes by composition."""
    assert name_problem(name)
    error = refusal(document.read, ROLE.replace("{name: dev}", json.dumps({"name": name})), "f.yaml")
    assert error.what.isprintable()


@pytest.mark.parametrize("part", ["..", ".", "a/b", "../x", "/x", "", "a\0b", "a\nb"])
@pytest.mark.parametrize("place", [0, 1, 2])
def test_a_proxy_cannot_choose_where_its_files_go(part: str, place: int) -> None:
    """User and cluster come from a certificate that a proxy sent; they become names of files under `~/.tsh`."""
    parts = ["proxy.example.com", "alice", "example.com"]
    parts[place] = part
    assert refusal(Files, "/h", *parts).code == "CLIENT-PROXY-NAME"


@pytest.mark.parametrize(
    "login", ["-oProxyCommand=touch x", "a b", "a;b", "$(x)", "`x`", "a,root", "root\n", "a\0", "..", "a:b"]
)
def test_cve_2017_1000117_a_login_is_no_option_and_no_command(login: str) -> None:
    assert not is_login(login)


@pytest.mark.parametrize("host", ["-oProxyCommand=x", "a b", "a\nb", "a\0b", "\u0261oogle.com", "a;b", "$(x)"])
def test_a_host_is_no_option_and_no_command(host: str) -> None:
    assert refusal(parse_addr, f"{host}:22", 22).code == "KIND-ADDRESS"
    assert refusal(parse_address, f"{host}:22").code == "NET-ADDRESS"


@pytest.mark.parametrize("zone", ["\n", "\x1b[2J", "eth0\nfake log line", "", "a b", "x" * 300])
def test_the_zone_of_an_address_is_the_name_of_an_interface(zone: str) -> None:
    assert refusal(parse_addr, f"[fe80::1%{zone}]:22", 22).code == "KIND-ADDRESS"
    assert refusal(parse_address, f"[fe80::1%{zone}]:22").code == "NET-ADDRESS"


def test_cve_2022_45061_a_long_name_in_another_script_costs_nothing() -> None:
    refusal(parse_addr, "\u0130" * 200_000 + ":22", 22)
    refusal(parse_address, "\u0130" * 200_000 + ":22")


@pytest.mark.parametrize("address", ["010.0.0.1", "127.1", "0x7f000001", "2130706433", "1.2.3.4%eth0"])
def test_cve_2021_29921_an_address_has_one_spelling(address: str) -> None:
    line = f"PROXY TCP4 {address} 192.0.2.1 1 2\r\n".encode()
    assert refusal(proxy_header.parse, line).code == "WIRE-PROXY-HEADER"


def test_names_that_break_a_table_or_a_line_are_shown_escaped() -> None:
    lines = table(["Name"], [["a\nb\x1b[2J\u202e"]])
    assert all(line.isprintable() for line in lines)
    assert len(lines) == 3


# Log lines


@pytest.mark.parametrize("output", ["text", "json"])
@pytest.mark.parametrize(
    "hostile",
    [
        pytest.param("alice\n2026-01-01T00:00:00Z INFO [AUTH] root has signed in", id="cwe_117_a_second_line"),
        pytest.param("alice\r\nINFO forged", id="carriage_return"),
        pytest.param("alice\u2028INFO forged\u2029\x85\x0b\x0c", id="other_line_ends"),
        pytest.param("\x1b]0;title\x07\x1b[2J", id="cve_2003_0063_terminal_commands"),
        pytest.param("\u202ederongi", id="cve_2021_42574_reordering"),
        pytest.param('x" user:"root', id="quotes"),
        pytest.param("%s%n{0.__class__}${jndi:ldap://x}", id="cve_2021_44228_nothing_is_expanded"),
        pytest.param("\udfffx\ud800", id="lone_surrogates"),
    ],
)
def test_a_name_writes_no_log_line(output: str, hostile: str) -> None:
    out = io.StringIO()
    record = logging.LogRecord("teleport.AUTH", logging.INFO, "/a/b.py", 1, "%s", (hostile,), None)
    record.fields = {"user": hostile, hostile: 1, "error": BadParameter("CFG-DURATION", value=hostile)}
    LineHandler(out, output, EXTRA_FIELDS, SystemClock()).emit(record)
    line = out.getvalue()
    assert line.count("\n") == 1
    assert line[:-1].isprintable()
    if output == "json":
        assert json.loads(line)["user"] == hostile


@pytest.mark.parametrize("value", ["{value.__class__}", "{0}", "{", "}}", "%(value)s", "{value!r:>99999999}"])
def test_what_is_quoted_in_an_error_is_not_a_template(value: str) -> None:
    assert value in BadParameter("CFG-DURATION", value=value).what
    sent = from_grpc(NotFound.kind.grpc, "CFG-DURATION", {"value": value, "id": "x", "self": "y", "code": "z"}, "1")
    assert value in sent.what


@pytest.mark.parametrize(
    "code", ["os-X", "__init__-X", "..-X", "sys.path-X", "", "-", "CFG", "\n", "é-X", "CFG-" + "X" * 9999]
)
def test_a_code_that_a_peer_made_up_opens_nothing(code: str) -> None:
    assert from_grpc(3, code, {"message": "m"}).code == "API-REMOTE"


# Small languages


@pytest.mark.parametrize(
    "text",
    ["{{''.__class__.__mro__}}", "{{7*7}}", "{% for x in y %}", "{{config.items()}}", "{{external.x|attr('y')}}",
     '{{regexp.replace(external.x, "a", "b").__class__}}', "{{internal.logins}}{{internal.logins}}", "{{" * 400],
)  # fmt: skip
def test_cve_2024_29202_a_template_of_a_role_is_no_program(text: str) -> None:
    if "{{" in text:
        assert refusal(template.parse, text).code == "POL-TEMPLATE"
    else:
        assert template.parse(text) == (text, None, "")


@pytest.mark.parametrize(
    "text",
    ["__import__('os')", "user.__class__", "(lambda: 1)()", "[x for x in user]", "labels.__globals__['os']", "1;2",
     "(" * 5000, "!" * 5000, "a" * 5000],
)  # fmt: skip
def test_cve_2025_6000_a_condition_is_no_program(text: str) -> None:
    try:
        parsed = predicate.parse(text, predicate.QUERY)
    except BadParameter as error:
        assert error.code == "POL-PREDICATE"  # noqa: PT017 - the other way out is looked at below
        return
    with pytest.raises(BadParameter, match="expected"):
        predicate.evaluate(parsed, {"labels": {}, "name": "n", "resource": {}})


@pytest.mark.parametrize(
    "pattern",
    [
        "(a+)+$",
        "(a|a)*$",
        "(a|aa)+$",
        "(.*a){20}$",
        "((a*)*)*$",
        "(a*b|a)",
        "(?i)([a-z_]?){60}!",
        "(" + "()" * 100 + "a)*",
    ],
)
def test_regular_expressions_cost_no_more_than_their_length(pattern: str) -> None:
    compiled = regexp.compile(pattern)
    for call in (compiled._matches, lambda text: compiled.replace(text, "<$1>")):
        began = time.process_time()
        call("a" * 4095 + "!")
        assert time.process_time() - began < 2.0


# Costs that grow faster than their input


@pytest.mark.parametrize(
    "call",
    [
        pytest.param(lambda: parse_labels('a="' + "x" * 1_000_000 + '"'), id="labels_in_quotes"),
        pytest.param(lambda: der.elements(b"\x30\0" * 60_000), id="der_of_many_elements"),
        pytest.param(lambda: Duration.parse("1s" * 200_000), id="duration_of_many_parts"),
    ],
)
def test_cost_is_in_proportion(call: Callable[[], object]) -> None:
    began = time.process_time()
    try:
        call()
    except (BadParameter, Malformed):
        pass
    assert time.process_time() - began < 2.0
