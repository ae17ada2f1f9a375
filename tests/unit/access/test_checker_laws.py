"""Laws of decisions: what must hold for all roles, callers and targets, not only for the cases we thought of."""

import datetime as dt

from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from teleport.access.checker import Conditions, Connect, Denial, Grant, Open, Reach, Use, decide, visible
from teleport.access.explain import from_record, not_found, to_record, tree, user_error
from teleport.access.roleset import RoleSet
from teleport.access.rules import user_data
from teleport.access.served import reach_reasons
from teleport.base.struct import Duration
from teleport.model.kinds.lock import Lock, LockSpec, LockTarget
from teleport.model.kinds.role import Role
from teleport.model.resource import Metadata, Resource, load
from teleport.model.role_spec import RoleConditions, RoleOptions, RoleSpec, Rule
from tests.support.policy import CLUSTER, NOW, caller, conditions, lock, node

LOGINS = ("root", "ubuntu", "alice")
ROLE_NAMES = ("role-a", "role-b", "role-c", "role-d")

labels = st.dictionaries(st.sampled_from(["env", "team"]), st.sampled_from(["prod", "dev", "a"]), max_size=2)
values = st.sampled_from(["prod", "dev", "*", "p*", "^(prod|a)$"])
selectors = st.one_of(st.just({"*": "*"}), st.dictionaries(st.sampled_from(["env", "team"]), values, max_size=2))
expressions = st.sampled_from(
    ["", "", "", 'labels["env"] == "prod"', "broken(", 'labels["env"]', '!(labels["team"] == "a")']
)
logins = st.lists(st.sampled_from([*LOGINS, "{{internal.logins}}"]), max_size=3).map(tuple)
OBJECT, USER = 'equals(resource.metadata.name, "role-x")', 'user.metadata.name == "carol"'
rules = st.lists(
    st.builds(
        Rule,
        resources=st.sampled_from([("node",), ("role",), ("*",)]),
        verbs=st.sampled_from([("read",), ("list", "read"), ("delete",), ("*",)]),
        where=st.sampled_from(["", "", "broken(", OBJECT, USER]),
    ),
    max_size=2,
).map(tuple)
sides = st.builds(RoleConditions, logins=logins, node_labels=selectors, node_labels_expression=expressions, rules=rules)
denies = st.one_of(st.just(RoleConditions()), st.just(RoleConditions()), sides)
options = st.builds(
    RoleOptions, max_session_ttl=st.sampled_from([0, 60, 3600, 7200, 360000]).map(Duration),
    lock=st.sampled_from(["best_effort", "strict"]),
)  # fmt: skip


accounts = st.lists(st.sampled_from(["alice", "root", "*", "{{internal.db_users}}"]), max_size=2).map(tuple)
database_sides = st.builds(
    RoleConditions, db_labels=selectors, db_labels_expression=expressions, db_users=accounts, db_names=accounts
)
database_roles = st.lists(
    st.builds(
        Role, version=st.sampled_from(["v3", "v7"]), metadata=st.just(Metadata(name="role-a")),
        spec=st.builds(RoleSpec, allow=database_sides, deny=st.one_of(st.just(RoleConditions()), database_sides)),
    ), max_size=1,
) | st.tuples(*(
    st.builds(
        Role, version=st.just("v7"), metadata=st.just(Metadata(name=name)),
        spec=st.builds(RoleSpec, allow=database_sides, deny=st.one_of(st.just(RoleConditions()), database_sides)),
    ) for name in ROLE_NAMES[:3]
)).map(list)  # fmt: skip
databases = labels.map(
    lambda given: load(
        {"kind": "db", "metadata": {"name": "d", "labels": given}, "spec": {"protocol": "postgres", "uri": "d:1"}}
    )
)
reaches = st.builds(Reach, st.sampled_from([None, "alice", "root"]), st.sampled_from([None, "alice", "orders"]))


def role_named(name):
    return st.builds(
        Role, version=st.sampled_from(["v3", "v7"]), metadata=st.just(Metadata(name=name)),
        spec=st.builds(RoleSpec, options=options, allow=sides, deny=denies),
    )  # fmt: skip


def role_sets(names):
    return st.tuples(*map(role_named, names)).map(list)


roles_of_caller = st.lists(st.sampled_from(ROLE_NAMES), unique=True, max_size=3).flatmap(role_sets)
traits = st.sampled_from([{}, {"logins": ("alice",)}])
principals = st.lists(st.sampled_from([*LOGINS, "-internal"]), unique=True).map(tuple)
nodes = labels.map(lambda given: node(**given))
targets = st.one_of(nodes, st.sampled_from(["node", "role", "nothing"]), role_named("role-x"), role_named("role-a"))
actions = st.one_of(
    st.sampled_from(LOGINS).map(Connect),
    st.sampled_from(["read", "list", "create", "delete", "readnosecrets"]).map(Use),
)
worlds = st.lists(
    st.sampled_from([
        lock("l1", user="dave"), lock("l2", login="root"), lock("l3", server_id="uuid-7"), lock("l4", role="role-a"),
    ]),
    max_size=2,
).map(lambda locks: conditions(*locks))  # fmt: skip
laws = settings(max_examples=60, suppress_health_check=[HealthCheck.filter_too_much, HealthCheck.too_slow])


def holder(roles, names=LOGINS, **changes):
    return caller(*(role.name for role in roles), principals=names, **changes)


@laws
@given(roles_of_caller, role_named("role-z"), traits, actions, targets, worlds)
def test_a_prohibition_never_grants(roles, more, given_traits, action, target, world):
    """Adding a role that only denies, or a lock, turns no refusal into a permission."""
    only_denies = Role(version="v7", metadata=more.metadata, spec=RoleSpec(options=RoleOptions(), deny=more.spec.deny))
    before = decide(holder(roles), RoleSet.build(roles, given_traits), action, target, world)
    assume(isinstance(before, Denial))
    all_roles = [*roles, only_denies]
    after = decide(holder(all_roles), RoleSet.build(all_roles, given_traits), action, target, world)
    assert isinstance(after, Denial)
    locked = conditions(*world.locks, lock("l9", login="ubuntu"), lock("l8", user="carol", login="root"))
    assert isinstance(decide(holder(roles), RoleSet.build(roles, given_traits), action, target, locked), Denial)


@laws
@given(roles_of_caller, sides, traits, actions, targets)
def test_a_prohibition_in_a_role_never_grants(roles, deny, given_traits, action, target):
    assume(roles)
    first = roles[0]
    spec = RoleSpec(options=first.spec.options, allow=first.spec.allow, deny=deny)
    harder = [Role(version=first.version, metadata=first.metadata, spec=spec), *roles[1:]]
    without = RoleSpec(options=first.spec.options, allow=first.spec.allow)
    plain = [Role(version=first.version, metadata=first.metadata, spec=without), *roles[1:]]
    who = holder(roles)
    if isinstance(decide(who, RoleSet.build(plain, given_traits), action, target, conditions()), Denial):
        assert isinstance(decide(who, RoleSet.build(harder, given_traits), action, target, conditions()), Denial)


@laws
@given(
    roles_of_caller.flatmap(lambda roles: st.tuples(st.just(roles), st.permutations(roles))), traits, actions, targets
)
def test_the_order_of_roles_is_irrelevant(both, given_traits, action, target):
    one, other = both
    first = decide(holder(one), RoleSet.build(one, given_traits), action, target, conditions())
    second = decide(holder(one), RoleSet.build(other, given_traits), action, target, conditions())
    if isinstance(first, Grant):
        assert isinstance(second, Grant)
        assert (first.role, first.expires, first.options) == (second.role, second.expires, second.options)
    else:
        assert isinstance(second, Denial)
        assert (first.code, first.reasons, first.visible) == (second.code, second.reasons, second.visible)


@laws
@given(roles_of_caller, traits, st.sampled_from(LOGINS), nodes, st.integers(1, 10**6))
def test_time_is_never_longer_than_the_shortest(roles, given_traits, login, target, seconds):
    compiled = RoleSet.build(roles, given_traits)
    who = holder(roles, expires=NOW + dt.timedelta(seconds=seconds))
    answer = decide(who, compiled, Connect(login), target, conditions())
    for role in roles:
        limit = role.spec.options.max_session_ttl
        assert limit == 0 or compiled.ttl(Duration(seconds)) <= limit
        if isinstance(answer, Grant):
            assert answer.expires <= who.expires
            assert limit == 0 or answer.expires <= NOW + limit.delta


@laws
@given(roles_of_caller, traits, principals, nodes, worlds)
def test_lists_show_exactly_what_connecting_allows(roles, given_traits, names, target, world):
    compiled, who = RoleSet.build(roles, given_traits), holder(roles, names)
    connects = [isinstance(decide(who, compiled, Connect(login), target, world), Grant) for login in LOGINS]
    assert visible(who, compiled, target, world) is any(connects)


@laws
@given(roles_of_caller, traits, st.sampled_from(LOGINS), nodes)
def test_a_grant_needs_one_role_with_login_and_labels(roles, given_traits, login, target):
    """A second evaluator, written from the reference: any deny refuses, one role must allow all."""
    compiled = RoleSet.build(roles, given_traits)
    who = holder(roles)
    answer = decide(who, compiled, Connect(login), target, conditions())
    steps = answer.steps if isinstance(answer, Denial) else decide(
        holder(roles, ()), compiled, Connect(login), target, conditions()
    ).steps  # fmt: skip
    denied = any(step.matched for step in steps if step.side == "deny")
    by_role = {step.role: [other.matched for other in steps if other.role == step.role and other.side == "allow"]
               for step in steps if step.side == "allow"}  # fmt: skip
    assert isinstance(answer, Grant) is (not denied and any(all(matched) for matched in by_role.values()))


@laws
@given(roles_of_caller, traits, principals, nodes, st.sampled_from([*LOGINS, "nobody"]), worlds)
def test_callers_learn_of_their_own_roles_and_visible_targets_only(roles, given_traits, names, target, login, world):
    compiled, who = RoleSet.build(roles, given_traits), holder(roles, names)
    for action in (Connect(login), Open(login, "agent"), Open(login, "file_copy"), Use("read"), Use("delete")):
        denial = decide(who, compiled, action, target, world)
        if isinstance(denial, Grant):
            continue
        error = user_error(denial, "id", asked="uuid-7")
        text = "\n".join([error.what, error.why, error.fix, *error.fields.values()])
        held = {role.name for role in roles}
        assert not [name for name in (*ROLE_NAMES, "default-implicit-role") if name not in held and name in text]
        if not denial.visible:
            absent = not_found("node", "uuid-7", "id")
            assert (type(error), error.code, error.fields, str(error)) == (
                type(absent), absent.code, absent.fields, str(absent),
            )  # fmt: skip


@laws
@given(roles_of_caller, traits, nodes)
def test_a_suggested_login_makes_it_succeed(roles, given_traits, target):
    compiled, who = RoleSet.build(roles, given_traits), holder(roles)
    denial = decide(who, compiled, Connect("root"), target, conditions())
    assume(isinstance(denial, Denial) and denial.code == "POL-NO-LOGIN")
    prefix = 'add login "root" to role "'
    assert denial.succeed_if[0].startswith(prefix)
    for change in denial.succeed_if:
        if not change.startswith(prefix):
            continue
        name = change.removeprefix(prefix).removesuffix('"')
        changed = []
        for role in roles:
            allow = role.spec.allow
            if role.name == name:
                allow = RoleConditions(
                    logins=("root",), node_labels=allow.node_labels, node_labels_expression=allow.node_labels_expression
                )
            spec = RoleSpec(options=role.spec.options, allow=allow, deny=role.spec.deny)
            changed.append(Role(version=role.version, metadata=role.metadata, spec=spec))
        assert isinstance(
            decide(who, RoleSet.build(changed, given_traits), Connect("root"), target, conditions()), Grant
        )


@laws
@given(database_roles, reaches, databases)
def test_reaching_needs_one_role_that_allows_all_and_none_that_denies(roles, action, target):
    """A second evaluator over the explanation, and the laws of lists and of prohibitions."""
    compiled, who = RoleSet.build(roles, {}), holder(roles)
    answer = decide(who, compiled, action, target, conditions())
    steps = reach_reasons(compiled, action, target, user_data(who, {}), ()).steps
    denied = any(step.matched for step in steps if step.side == "deny")
    whole = [all(step.matched for step in steps if step.role == role.name and step.side == "allow") for role in roles]
    assert isinstance(answer, Grant) is (any(whole) and not denied)
    if isinstance(answer, Grant):
        assert visible(who, compiled, target, conditions())
        silent = [Role(version=each.version, metadata=each.metadata, spec=RoleSpec(deny=each.spec.deny))
                  for each in roles]  # fmt: skip
        only_denies = RoleSet.build([Role(version="v7", metadata=Metadata(name=each.name), spec=each.spec)
                                     for each in silent], {})  # fmt: skip
        assert isinstance(decide(who, only_denies, action, target, conditions()), Denial)
    else:
        harder = [*roles, Role(version="v7", metadata=Metadata(name="role-d"), spec=RoleSpec(
            deny=RoleConditions(db_users=("bob",))))]  # fmt: skip
        more = decide(holder(harder), RoleSet.build(harder, {}), action, target, conditions())
        assert isinstance(more, Denial)
        assert str(user_error(answer, "id"))


texts = st.text(max_size=8)
instants = st.one_of(st.datetimes(), st.datetimes(timezones=st.timezones()))
any_lock = st.builds(
    Lock, metadata=st.builds(Metadata, name=texts, expires=st.none() | instants),
    spec=st.builds(
        LockSpec, target=st.builds(LockTarget, user=texts, role=texts, login=texts, server_id=texts), message=texts,
        expires=st.none() | instants,
    ),
)  # fmt: skip
any_side = st.builds(
    RoleConditions, logins=st.lists(texts, max_size=2).map(tuple),
    node_labels=st.dictionaries(texts, texts, max_size=2), node_labels_expression=texts,
    rules=st.lists(
        st.builds(Rule, resources=st.tuples(texts | st.just("*")), verbs=st.tuples(texts | st.just("*")), where=texts),
        max_size=1,
    ).map(tuple),
)  # fmt: skip
any_role = st.builds(
    Role, version=texts, metadata=st.builds(Metadata, name=texts),
    spec=st.builds(
        RoleSpec, allow=any_side, deny=any_side,
        options=st.builds(RoleOptions, max_session_ttl=st.floats(0, 1e10).map(Duration), lock=texts),
    ),
)  # fmt: skip
any_node = st.builds(lambda name, given: node().with_metadata(name=name, labels=given), texts,
                     st.dictionaries(texts, texts, max_size=2))  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_every_question_has_an_answer(data):
    """Total: text of any alphabet, times with and without zone, expressions that mean nothing."""
    roles = data.draw(st.lists(any_role, max_size=2))
    names = tuple(role.name for role in roles)
    who = caller(
        *data.draw(st.sampled_from([names, ("x",)])), name=data.draw(texts), expires=data.draw(instants),
        kind=data.draw(st.sampled_from(["human", "bot", "host", "admin"])),
        cluster=data.draw(st.sampled_from([CLUSTER, ""])), pinned_ip=data.draw(st.sampled_from(["", "", "::1", "x"])),
        principals=data.draw(st.lists(texts, max_size=2).map(tuple)),
        system_roles=data.draw(st.sampled_from([(), ("Node",)])),
    )  # fmt: skip
    world = Conditions(
        now=data.draw(instants), cluster=CLUSTER, locks=tuple(data.draw(st.lists(any_lock, max_size=2))),
        locks_as_of=data.draw(st.none() | instants), client_ip=data.draw(texts),
    )  # fmt: skip
    action = data.draw(st.one_of(st.builds(Connect, texts), st.builds(Use, texts | st.just("read"))))
    target: Resource | str = data.draw(st.one_of(texts, any_node, any_role))
    compiled = RoleSet.build(roles, data.draw(st.dictionaries(texts, st.tuples(texts), max_size=1)))
    answer = decide(who, compiled, action, target, world)
    if isinstance(answer, Denial):
        assert answer.steps
        assert str(user_error(answer, "id"))
        assert tree(from_record(to_record(answer))).startswith("DENY ")
    else:
        assert isinstance(answer, Grant)
