"""KIND-*: documents of resources."""

from teleport.base.catalogue import Page

PAGES = {
    "KIND-VERSION-ORDER": Page(
        what="{version!r} is not a version",
        why="versions are major.minor.patch, perhaps with -rc.1 behind",
        fix="write it like v16.2.0",
    ),
    "KIND-SEMAPHORE": Page(
        what="the semaphore is not one: {problem}",
        why="a semaphore counts connections of one user, each with a lease of a host",
        fix="leave semaphores to the services; `tctl rm` frees every place of one",
    ),
    "KIND-MISSING": Page(
        what="the document has no kind",
        why="every resource says what it is in its first field",
        fix="add a line such as `kind: role`",
    ),
    "KIND-UNKNOWN": Page(
        what=(
            "unsupported resource: {kind!r} - resources should be expressed as 'type/name', "
            "for example 'connector/github'"
        ),
        why="no kind of this cluster has that name",
        fix="run `tctl api-resources` for the list of kinds",
    ),
    "KIND-VERSION": Page(
        what="unrecognized {kind} version: {version}",
        why="this kind is known in the versions {known}",
        fix="change `version` to one of them",
    ),
    "KIND-FIELD": Page(
        what="{kind}: {problem}",
        why="the document does not have the shape of this kind",
        fix="compare it with `tctl get {kind}` or the reference page of the kind",
    ),
    "KIND-EMPTY": Page(
        what="no resources found, empty input?",
        why="the text has no document in it, or only comments",
        fix="give a file with at least one document, or pass the text on standard input",
    ),
    "KIND-NOT-A-MAP": Page(
        what="the document is not a resource",
        why="a resource is a map with kind, version, metadata and spec",
        fix="compare it with the output of `tctl get`",
    ),
    "KIND-REF": Page(
        what="{word!r} is not a reference to a resource: {problem}",
        why="a resource is named kind/name, kind/sub_kind/name, or by its kind alone; commas separate several",
        fix="write for example role/access or locks; put a backslash before a comma that is part of a name",
    ),
    "KIND-NAME": Page(
        what="{kind} name {name} is not allowed: {problem}",
        why="names go into storage keys, certificates, lists and terminals, so their characters are restricted",
        fix="use letters, digits and characters such as . _ - @, at most 1000",
    ),
    "KIND-NAMESPACE": Page(
        what="{kind}: namespace {namespace} does not exist",
        why="the only namespace is `default`",
        fix="remove metadata.namespace",
    ),
    "KIND-LABEL": Page(
        what="{kind}: label {label}: {problem}",
        why="labels are matched by roles and shown in tables, so their characters are restricted",
        fix="rename the label or change its value",
    ),
    "KIND-LABEL-RESERVED": Page(
        what="{kind}: the label {label} is set by the cluster alone",
        why="labels that begin with teleport.internal/ carry the cluster's own marks",
        fix="leave the label as it was, or use another prefix for your own",
    ),
    "KIND-TEXT": Page(
        what="{kind}: {field} is {problem}",
        why="this text is shown to people, and control characters could change what their terminal shows",
        fix="write plain text",
    ),
    "KIND-TIME": Page(
        what="{kind}: {field} is outside the calendar",
        why="with its zone the moment lies before the year 1 or after the year 9999, so it cannot be compared or shown",
        fix="write a time in between, in UTC: 2030-01-02T03:04:05Z",
    ),
    "KIND-LOGIN": Page(
        what="{kind}: {login} cannot be a login",
        why="a login has letters, digits and . _ - @ + $, and does not begin with a hyphen",
        fix="correct the value under traits.logins",
    ),
    "KIND-ADDRESS": Page(
        what="{value} is not an address: {problem}",
        why="an address is host:port, for example 0.0.0.0:3022, example.com:443 or [::1]:3022",
        fix="correct the address",
    ),
    "KIND-FIELD-NOT-SUPPORTED": Page(
        what="{kind}: {field} is not supported yet; this build supports: {supported}",
        why="no code of this build acts on that value, so accepting it would promise what does not happen",
        fix="remove the field, or use a supported value",
    ),
    "KIND-VALUE-NOT-SUPPORTED": Page(
        what="{kind}: {field}: {value} is not supported yet; this build supports: {supported}",
        why="the value is known, and no code of this build acts on it",
        fix="use a supported value",
    ),
    "KIND-LOCK-TARGET": Page(
        what="the lock has no target",
        why="a lock forbids something to somebody; at least one field of spec.target must be set",
        fix="set one or more of {known}",
    ),
    "KIND-LOCK-NODE": Page(
        what="the lock's target names two servers, as `node` and as `server_id`",
        why="`node` is the old name of `server_id`, and they differ",
        fix="keep server_id alone",
    ),
    "KIND-BOT": Page(
        what="{problem}",
        why="the value says how long a bot's certificates live, or whom a stolen one locks",
        fix="correct the value",
    ),
    "KIND-TOKEN-ROLES": Page(
        what="provisioning token is missing roles",
        why="a token says as what a host may join",
        fix="set spec.roles to one or more of {known}",
    ),
    "KIND-TOKEN-ROLE": Page(
        what='unknown role "{role}"',
        why="a token carries roles of services",
        fix="use one or more of {known}",
    ),
    "KIND-TOKEN-METHOD": Page(
        what='unknown join method "{method}"',
        why="the join methods are {known}",
        fix="set spec.join_method to one of them",
    ),
    "KIND-TOKEN-ALLOW": Page(
        what='allow rules are not compatible with the "{method}" join method',
        why="spec.allow holds rules for machines of AWS; other methods have theirs in spec.<method>.allow, and with "
        "the method token whoever knows its name may join",
        fix="remove spec.allow",
    ),
    "KIND-TOKEN-MISSING": Page(
        what='"{method}" configuration must be provided for join method "{method}"',
        why="without it nobody could join with the token",
        fix="write spec.{method} with rules below `allow`",
    ),
    "KIND-TOKEN-OTHER": Page(
        what='spec.{block} means nothing for join method "{method}"',
        why="a token is good for one join method",
        fix="remove spec.{block}, or set spec.join_method to {block}",
    ),
    "KIND-TOKEN-BLOCK": Page(
        what="token of join method {method}: {problem}",
        why="its rules say who may join with it: every field of a rule must match, and one rule must match as a whole",
        fix="correct spec.{method}; for ec2 and iam the rules stand in spec.allow",
    ),
    "KIND-TOKEN-BOT-METHOD": Page(
        what='unsupported join method "{method}" for bot',
        why="the method proves which machine it is, once in its life",
        fix="use another method, for example iam",
    ),
    "KIND-TOKEN-BOT": Page(
        what="{problem}",
        why="a bot joins as one named bot, and nothing else has a bot's name",
        fix="set spec.bot_name exactly when spec.roles has Bot",
    ),
    "KIND-CA-NAME": Page(
        what="cert_authority: {field} is {value} and must be {wanted}",
        why="the sub-kind repeats spec.type and the name repeats spec.cluster_name",
        fix="make both the same",
    ),
    "KIND-CA-KEY": Page(
        what="cert_authority: {problem}",
        why="an authority is known by its public keys",
        fix="write public_key as `ssh-ed25519 AAAA...` and cert as -----BEGIN CERTIFICATE-----",
    ),
}
