"""POL-*: roles, and what they decide."""

from teleport.base.catalogue import Page

_CONNECT = "access to {kind} denied. User does not have permissions. Confirm SSH login."
_EXPLAIN = "an administrator sees every role's answer with `tctl access explain {decision}`"

PAGES = {
    # Writing roles
    "POL-RESERVED-ROLE": Page(
        what="reserved role: {name}",
        why="the system itself uses this name",
        fix="choose another name for the role",
    ),
    "POL-OPTION": Page(
        what="invalid value for role option {option}: {value}",
        why="known values: {known}",
        fix="write one of the known values, or leave the option out",
    ),
    "POL-HOST-USER-MODE": Page(
        what='invalid host user mode "{value}", expected one of off, drop or keep',
        why="options.create_host_user_mode says what happens to accounts after a session",
        fix="write off, drop or keep",
    ),
    "POL-LOGIN": Page(
        what="{login} is not a login",
        why="a login is letters, digits and ._-@+$\\ in Unicode form NFC, without separators or white space, "
        "and does not begin with a hyphen",
        fix="correct the entry in logins",
    ),
    "POL-WILDCARD": Page(
        what="{problem}",
        why='"*" would give every name there is, now and later',
        fix="list the names in allow.{field}, or use a template such as {{{{internal.logins}}}}",
    ),
    "POL-SELECTOR": Page(
        what="selector *:{value} is not supported",
        why='the key "*" means every label, and only together with the value "*"',
        fix="name the label in {field}, for example env: {value}",
    ),
    "POL-DYNAMIC-DENY": Page(
        what='the label "{label}" cannot be used in deny.{field}',
        why="labels under dynamic/ are set by the resource itself, which could leave them out to escape the rule",
        fix="deny by a static label",
    ),
    "POL-RULE-RESOURCES": Page(
        what="missing resources to match",
        why="a rule says on which kinds its verbs apply",
        fix="add a line such as `resources: [node]`",
    ),
    "POL-RULE-VERBS": Page(
        what="missing verbs",
        why="a rule says what may be done",
        fix="add a line such as `verbs: [list, read]`",
    ),
    "POL-RULE-VERB": Page(
        what='unknown verb "{verb}" in a rule',
        why="known verbs: {known}",
        fix="correct the verb",
    ),
    "POL-IMPERSONATE": Page(
        what="{problem}",
        why="impersonation is given for named users together with named roles",
        fix="complete allow.impersonate, or remove it",
    ),
    "POL-TEMPLATE": Page(
        what="cannot read the template {template!r}: {problem}",
        why="a value may hold one expression such as {{{{internal.logins}}}} or {{{{external.team}}}}",
        fix="correct the expression",
    ),
    "POL-REGEXP": Page(
        what="cannot use the regular expression {pattern!r}: {problem} (column {column})",
        why="regular expressions have RE2's syntax: no back references, no look-around",
        fix="rewrite the expression, or use a glob such as prod-*",
    ),
    "POL-PREDICATE": Page(
        what="cannot read the expression {text!r}: {problem} (column {column})",
        why="expressions compare with ==, !=, combine with &&, || and !, and call functions such as contains(list, x)",
        fix="correct the expression at that column",
    ),
    "POL-PREDICATE-VALUE": Page(
        what="cannot evaluate the expression {text!r}: {problem}",
        why="a value has not the type that the expression needs",
        fix="correct the expression",
    ),
    # Decisions
    "POL-NOT-FOUND": Page(
        what='{kind} "{name}" not found',
        why="no {kind} of that name exists, or none that you may list",
        fix=f"check the name; {_EXPLAIN}",
    ),
    "POL-NO-LOGIN": Page(what=_CONNECT, why="{reason}", fix="{hint}"),
    "POL-NO-ACCOUNT": Page(what="{denied}", why="{reason}", fix="{hint}"),
    "POL-NO-LABELS": Page(what="{denied}", why="{reason}", fix="{hint}"),
    "POL-DENY-RULE": Page(what="{denied}", why="{reason}", fix="{hint}"),
    "POL-NO-VERB": Page(what="{denied}", why="{reason}", fix="{hint}"),
    "POL-NO-PRINCIPAL": Page(what=_CONNECT, why="{reason}", fix="{hint}"),
    "POL-NOT-CONNECTABLE": Page(what="{denied}", why="{reason}", fix="{hint}"),
    "POL-JOIN": Page(what="{denied}", why="{reason}", fix="{hint}"),
    "POL-JOIN-POLICY": Page(
        what="join_sessions policy {name}: {problem}",
        why="a policy names roles of session owners (globs), kinds of sessions, and modes in which they may be joined",
        fix="write roles, kinds and modes, for example: roles [dev], kinds [ssh], modes [observer]",
    ),
    "POL-IMPERSONATION": Page(what="{denied}", why="{reason}", fix="{hint}"),
    "POL-SYSTEM": Page(what="{denied}", why="{reason}", fix="{hint}"),
    "POL-IMPERSONATED": Page(what="{denied}", why="{reason}", fix="{hint}"),
    "POL-CHANNEL-SERVICE": Page(what="{denied}", why="{reason}", fix="{hint}"),
    "POL-CHANNEL-CERTIFICATE": Page(what="{denied}", why="{reason}", fix="{hint}"),
    "POL-CHANNEL-ROLE": Page(what="{denied}", why="{reason}", fix="{hint}"),
    "POL-LOCKED": Page(
        what="lock targeting {lock} is in force{message}",
        why="an administrator, or the cluster itself, has locked it",
        fix="ask an administrator to lift the lock: {unlock}",
    ),
    "POL-LOCKS-STALE": Page(
        what="access denied: the list of locks is too old",
        why="{reason}",
        fix="try again when the service has its connection to the cluster back",
    ),
    "POL-EXPIRED": Page(
        what="access denied: the certificate has expired",
        why="{reason}",
        fix="log in again: tsh login",
    ),
    "POL-PINNED-IP": Page(
        what="access denied: the certificate may not be used from this address",
        why="{reason}",
        fix="log in again from the address you are using: tsh login",
    ),
    "POL-OTHER-CLUSTER": Page(
        what="access denied: the certificate belongs to another cluster",
        why="{reason}",
        fix="log in to this cluster: tsh login",
    ),
    "POL-ROLE-MISSING": Page(
        what="access denied: a role of the certificate does not exist",
        why="{reason}",
        fix="log in again; if that does not help, an administrator creates the role or takes it from the user",
    ),
    "POL-ROLE-SET": Page(
        what="access denied: the roles that were looked up are not those of the certificate",
        why="{reason}",
        fix="log in again: tsh login",
    ),
    # Defects of ours
    "POL-GRANT-FORGED": Page(
        what="a grant can be made by the checker alone",
        why="code tried to build or change a grant; access must be decided, not asserted",
        fix="call teleport.access.checker.decide and use what it returns",
    ),
    "POL-RECORD": Page(
        what="this is no record of a decision",
        why="{problem}",
        fix="pass bytes that teleport.access.explain.to_record has written",
    ),
}
