"""role: shapes of all versions, refusals with a reason, and the three tables that leave no field out."""

import pytest

from teleport.base.errors import BadParameter, NotSupported
from teleport.model.kinds.role import ENFORCED, INERT, REFUSED, Role, warnings
from teleport.model.resource import dump, find, load
from teleport.model.role_spec import RoleConditions, RoleOptions, Rule


def make(spec, name="dev", version="v7"):
    return load({"kind": "role", "version": version, "metadata": {"name": name}, "spec": spec})


def refused(spec, **more):
    with pytest.raises(BadParameter) as error:
        make(spec, **more)
    return error.value


FIELDS = {
    *(f"options.{name}" for name in RoleOptions.__struct_fields__),
    *RoleConditions.__struct_fields__,
    *(f"rules.{name}" for name in Rule.__struct_fields__),
}


def test_every_field_stands_in_exactly_one_table():
    tables = [*ENFORCED, *REFUSED, *INERT]
    assert len(tables) == len(set(tables))
    assert set(tables) == FIELDS


def test_the_role_of_the_machine_identity_page_is_accepted():
    """S1-41: the role as the page has it."""
    role = make(
        {
            "allow": {
                "db_labels": {"*": "*"},
                "db_names": ["example"],
                "db_users": ["alice"],
                "rules": [{"resources": ["db_server", "db"], "verbs": ["read", "list"]}],
            }
        },
        name="machine-id-db",
        version="v5",
    )
    assert warnings(role) == []


@pytest.mark.parametrize("version", ["v3", "v4", "v5", "v8"])
def test_joining_of_sessions_counts_from_version_5_on(version):
    policy = {"name": "x", "roles": ["dev*"], "kinds": ["ssh", "*"], "modes": ["observer"]}
    found = make({"allow": {"join_sessions": [policy]}, "deny": {"join_sessions": [policy]}}, version=version)
    early = version in ("v3", "v4")
    assert found.joins_sessions is not early
    told = f'role "dev": allow.join_sessions has no effect in version {version}, only from v5 on'
    assert warnings(found) == ([told] if early else [])


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"roles": []}, "it names no roles"),
        ({"kinds": []}, "it names no kinds"),
        ({"modes": []}, "it names no modes"),
        ({"kinds": ["ssh", "telnet"]}, "kind 'telnet' is not one of ssh, k8s, db, app, desktop, *"),
        ({"modes": ["spectator"]}, "mode 'spectator' is not one of observer, peer, moderator, *"),
    ],
)
@pytest.mark.parametrize("side", ["allow", "deny"])
def test_a_policy_of_joining_says_all(side, changes, problem):
    policy = {"name": "x", "roles": ["*"], "kinds": ["*"], "modes": ["*"], **changes}
    error = refused({side: {"join_sessions": [policy]}})
    assert (error.code, error.what) == ("POL-JOIN-POLICY", f"join_sessions policy 'x': {problem}")


def test_an_ordinary_preset_is_accepted():
    make(
        {
            "options": {
                "forward_agent": True,
                "max_session_ttl": "30h",
                "port_forwarding": True,
                "create_host_user": False,
                "create_host_user_mode": "off",
                "record_session": {"default": "best_effort", "desktop": True},
                "enhanced_recording": ["command", "network"],
                "require_session_mfa": False,
                "idp": {"saml": {"enabled": True}},
            },
            "allow": {
                "logins": ["{{internal.logins}}"],
                "node_labels": {"*": "*"},
                "kubernetes_resources": [{"kind": "*", "namespace": "*", "name": "*", "verbs": ["*"]}],
                "db_roles": ["{{internal.db_roles}}"],
                "rules": [
                    {
                        "resources": ["session"],
                        "verbs": ["read", "list"],
                        "where": "contains(session.participants, user.metadata.name)",
                    }
                ],
            },
        }
    )


@pytest.mark.parametrize("version", ["v3", "v4", "v5", "v6", "v7", "v8"])
def test_versions(version):
    assert make({}, version=version).version == version


def test_version_defaults():
    assert load({"kind": "role", "metadata": {"name": "x"}}).version == "v3"
    error = refused({}, version="v2")
    assert error.what == "unrecognized role version: v2"
    with_logins = {"allow": {"logins": ["root"]}}
    assert make(with_logins, version="v3").node_labels("allow") == {"*": "*"}
    assert make(with_logins, version="v4").node_labels("allow") == {}
    assert make({}, version="v3").node_labels("allow") == {}
    expression = {"allow": {"logins": ["root"], "node_labels_expression": 'labels["a"] == "b"'}}
    assert make(expression, version="v3").node_labels("allow") == {}
    assert make(with_logins, version="v3").node_labels("deny") == {}


@pytest.mark.parametrize(
    ("spec", "code", "what"),
    [
        ({"allow": {"logins": ["*"]}}, "POL-WILDCARD", "wildcard matcher is not allowed in logins"),
        ({"allow": {"db_roles": ["*"]}}, "POL-WILDCARD", "wildcard is not allowed in allow.database_roles"),
        ({"allow": {"node_labels": {"*": "prod"}}}, "POL-SELECTOR", "selector *:prod is not supported"),
        ({"deny": {"node_labels": {"dynamic/x": "y"}}}, "POL-DYNAMIC-DENY", 'the label "dynamic/x" cannot be used'),
        ({"allow": {"logins": ["a,b"]}}, "POL-LOGIN", "'a,b' is not a login"),
        ({"allow": {"logins": ["x,{{external.y}}"]}}, "POL-LOGIN", "is not a login"),
        ({"allow": {"logins": ["{{external.y}} z"]}}, "POL-LOGIN", "is not a login"),
        ({"deny": {"logins": ["a\nb"]}}, "POL-LOGIN", "is not a login"),
        ({"allow": {"logins": ["{{nope}}"]}}, "POL-TEMPLATE", "cannot read the template"),
        ({"allow": {"node_labels": {"a": "^(?=x)$"}}}, "POL-REGEXP", "cannot use the regular expression"),
        ({"allow": {"kubernetes_resources": [{"name": "^(a$"}]}}, "POL-REGEXP", "missing )"),
        ({"allow": {"rules": [{"verbs": ["read"]}]}}, "POL-RULE-RESOURCES", "missing resources to match"),
        ({"allow": {"rules": [{"resources": ["role"]}]}}, "POL-RULE-VERBS", "missing verbs"),
        ({"deny": {"rules": [{"resources": ["role"], "verbs": ["raed"]}]}}, "POL-RULE-VERB", 'unknown verb "raed"'),
        ({"options": {"lock": "x"}}, "POL-OPTION", "invalid value for role option lock: x"),
        ({"options": {"enhanced_recording": ["x"]}}, "POL-OPTION", "for role option enhanced_recording: x"),
        (
            {"options": {"create_host_user_mode": "x"}},
            "POL-HOST-USER-MODE",
            'invalid host user mode "x", expected one of off, drop or keep',
        ),
        ({"options": {"max_session_ttl": -5}}, "POL-OPTION", "max_session_ttl"),
        ({"options": {"max_session_ttl": float("nan")}}, "KIND-FIELD", "max_session_ttl"),
        ({"deny": {"impersonate": {"where": "x"}}}, "POL-IMPERSONATE", "'where' is not supported in deny.impersonate"),
        ({"allow": {"impersonate": {"users": ["a"]}}}, "POL-IMPERSONATE", "please set both impersonate.users and"),
        ({"allow": {"login": ["a"]}}, "KIND-FIELD", "login"),
    ],
)  # fmt: skip
def test_refused_values(spec, code, what):
    error = refused(spec)
    assert error.code == code
    assert what in error.what
    assert error.fix


def test_reserved_names():
    assert refused({}, name="Node").what == "reserved role: Node"
    assert refused({}, name="default-implicit-role").code == "POL-RESERVED-ROLE"
    assert make({}, name="admin").name == "admin"


@pytest.mark.parametrize(
    ("spec", "field"),
    [
        ({"options": {"require_session_mfa": True}}, "options.require_session_mfa"),
        ({"options": {"require_session_mfa": "hardware_key"}}, "options.require_session_mfa"),
        ({"options": {"mfa_verification_interval": "1h"}}, "options.mfa_verification_interval"),
        ({"options": {"cert_format": "oldssh"}}, "options.cert_format"),
        ({"options": {"cert_extensions": [{"name": "a", "value": "b"}]}}, "options.cert_extensions"),
        ({"options": {"device_trust_mode": "required"}}, "options.device_trust_mode"),
        ({"options": {"request_access": "always"}}, "options.request_access"),
        ({"allow": {"namespaces": ["other"]}}, "allow.namespaces"),
        ({"deny": {"require_session_join": [{"name": "x", "count": 1}]}}, "deny.require_session_join"),
        ({"allow": {"rules": [{"resources": ["a"], "verbs": ["*"], "actions": ["l()"]}]}}, "allow.rules[0].actions"),
    ],
)  # fmt: skip
def test_restrictions_that_nothing_enforces_are_refused(spec, field):
    with pytest.raises(NotSupported) as error:
        make(spec)
    assert error.value.code == "KIND-FIELD-NOT-SUPPORTED"
    assert error.value.fields["field"] == field
    assert error.value.fields["kind"] == "role"


@pytest.mark.parametrize(
    ("options", "ssh"),
    [
        ({"on_record_failure": "deny"}, "strict"),
        ({"on_record_failure": "best_effort", "record_session": {"desktop": False}}, "best_effort"),
        ({"on_record_failure": "deny", "record_session": {"ssh": "strict"}}, "strict"),
        ({"record_session": {"ssh": "strict"}}, "strict"),
    ],
)
def test_the_other_name_of_what_a_failed_recording_does(options, ssh):
    made = make({"options": options})
    assert made.spec.options.record_session.ssh == ssh
    assert made.spec.options.record_session.desktop == options.get("record_session", {}).get("desktop", True)


@pytest.mark.parametrize(
    "options",
    [
        {"on_record_failure": "ignore"},
        {"on_record_failure": ["deny"]},
        {"on_record_failure": "deny", "record_session": {"ssh": "best_effort"}},
        {"max_sessions": -1},
        {"client_idle_timeout": "-5m"},
    ],
)
def test_options_without_meaning_are_refused(options):
    assert refused({"options": options}).code in ("POL-OPTION", "KIND-DURATION", "KIND-FIELD")


def test_every_refused_field_has_a_refused_value():
    covered = {
        case[1].removeprefix("allow.").removeprefix("deny.").replace("rules[0]", "rules")
        for mark in test_restrictions_that_nothing_enforces_are_refused.pytestmark
        for case in mark.args[1]
    }
    assert covered == set(REFUSED)


def test_harmless_values_are_accepted():
    make(
        {
            "options": {"enhanced_recording": [], "device_trust_mode": "optional", "require_session_mfa": "no"},
            "allow": {"namespaces": ["default"], "impersonate": {"roles": ["a"]}},
            "deny": {"logins": ["*"], "db_roles": ["*"], "request": {"roles": ["x"], "reason": {"prompt": "{{"}}},
        }
    )


def test_table_and_document():
    role = make(
        {
            "allow": {
                "logins": ["root", "ubuntu"],
                "node_labels": {"env": ["a", "b"], "x": "y"},
                "rules": [{"resources": ["role", "user"], "verbs": ["read", "list"]}],
            }
        }
    )
    assert isinstance(role, Role)
    info = find("role")
    assert [column.heading for column in info.columns] == [
        "Role", "Allowed to login as", "Node Labels", "Access to resources",
    ]  # fmt: skip
    assert [column.cell(role) for column in info.columns] == [
        "dev", "root,ubuntu", "env=a,env=b,x=y", "role+user:read+list",
    ]  # fmt: skip
    assert load(dump(role)) == role
    assert info.events["create"] == ("role.created", "T9000I")
    assert info.events["update"] == ("role.updated", "T9002I")
    assert info.events["delete"] == ("role.deleted", "T9001I")
