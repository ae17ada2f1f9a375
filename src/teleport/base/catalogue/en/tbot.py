"""TBOT-*: tbot.yaml, and the command lines of tbot."""

from teleport.base.catalogue import Page

PAGES = {
    "TBOT-CA": Page(
        what="{problem}",
        why="each of the two says which Auth Service the bot may believe, and they might say different things",
        fix="keep one of them; ca_pins alone is what `tctl bots add` prints",
    ),
    "TBOT-DEPRECATED": Page(
        what="Deprecated config version (V1) detected: the file was read as version v2, and nothing was written back",
        why="version v1 of tbot.yaml has `destinations`, where v2 has `services`",
        fix="tbot migrate -c OLD -o NEW",
    ),
    "TBOT-EMPTY": Page(
        what="{key} {problem}",
        why="without it the entry means nothing",
        fix="write a value, or remove the entry",
    ),
    "TBOT-IDENTICAL": Page(
        what="Identical destinations used within config: {place}",
        why="{first} writes there too, and files of the same names would replace each other at every renewal",
        fix="give each entry, and storage, a destination of its own",
    ),
    "TBOT-JOIN-METHOD": Page(
        what='unrecognized join method: "{method}"',
        why="bots join with one of: {known}",
        fix="write the join method that the token has: tctl get token/NAME",
    ),
    "TBOT-LABELS": Page(
        what="--label-selector {text} is not understood: {problem}",
        why="labels are written as key=value, several with commas between them",
        fix="write --label-selector env=prod,team=web, say",
    ),
    "TBOT-LINE": Page(
        what="{problems}",
        why="the command line, or it and the file together, say several things that cannot be",
        fix="correct each option and key named above",
    ),
    "TBOT-LONG-TTL": Page(
        what="Requested certificate TTL exceeds the maximum TTL allowed and will likely be reduced by the Teleport "
        "server: {key}: {ttl}, at most {most}",
        why="the Auth Service gives bots no certificate that is longer valid",
        fix="write a shorter credential_ttl",
    ),
    "TBOT-NAME": Page(
        what="the name {name} of a service cannot be used",
        why="names go into paths and logs: they have letters, digits, -, _ and +, at most 64 of them",
        fix="choose another name, or leave it out: one is then made of the type and the place in the list",
    ),
    "TBOT-NO-PATH": Page(
        what="destination path must not be empty",
        why="a destination of the type directory is a folder, and nothing says which",
        fix="write `path: /opt/machine-id`, say",
    ),
    "TBOT-NOT-A-MAP": Page(
        what="{source}: this is not a configuration file",
        why="tbot.yaml is one YAML document: a map of keys such as version, proxy_server and services",
        fix="make one to start from: tbot configure identity --destination=/opt/machine-id -o tbot.yaml",
    ),
    "TBOT-NOT-LEGACY": Page(
        what="unrecognized service type ({type})",
        why="the types are: {known}",
        fix="tbot start -c FILE, or tbot start TYPE with one of these types",
    ),
    "TBOT-OPTIONS": Page(
        what="{first} and {second} are mutually exclusive",
        why="they say the same thing in two ways",
        fix="keep one of them",
    ),
    "TBOT-OUTPUTS": Page(
        what="the file has been detected as potentially v1, but has the v2 `{key}` field",
        why="a file without `version` is read as v1, which does not have that key",
        fix="write `version: v2` as its first line",
    ),
    "TBOT-OWN-NAME": Page(
        what="the name {name} belongs to a service that every bot has",
        why="the health of both would stand under one name in /readyz and in heartbeats",
        fix="choose another name",
    ),
    "TBOT-PROBLEMS": Page(
        what="failed parsing config file: {problems}",
        why="nothing of the file was used: a key that is not understood might be the one that matters",
        fix="correct each place named above; the keys are in docs/reference/tbot.md",
    ),
    "TBOT-READER": Page(
        what="a reader must be one user or one group",
        why="each entry of `readers` says either `user` or `group`, by name or number, and not both",
        fix="write `- user: alice` or `- group: ops`",
    ),
    "TBOT-READERS": Page(
        what="--reader-user and --reader-group are only compatible with file destinations",
        why="they become access control lists of a directory",
        fix="leave them out, or use --destination=/a/directory",
    ),
    "TBOT-SAME-NAME": Page(
        what="two services have the name {name}",
        why="the health of both would stand under one name in /readyz and in heartbeats",
        fix="give one of them another `name`",
    ),
    "TBOT-SELECTOR": Page(
        what="a selector must have a name or labels: {problem}",
        why="a selector means either one Kubernetes cluster by its name, or all with the labels",
        fix="write `- name: CLUSTER` or `- labels: {{env: prod}}`",
    ),
    "TBOT-SHORT-TTL": Page(
        what="The certificate TTL is shorter than the renewal interval. This is likely an invalid configuration: "
        "{key}: {ttl}, and renewal only every {interval}",
        why="certificates would end before new ones are there",
        fix="make credential_ttl at least twice as long as renewal_interval",
    ),
    "TBOT-TWICE": Page(
        what="both {key} and {older} are set",
        why="they are the newer and the older name of the same setting, and might say different things",
        fix="keep {key} alone",
    ),
    "TBOT-TWO-SECRETS": Page(
        what="both registration_secret and registration_secret_path are set",
        why="the registration secret is either in the file or in another one",
        fix="keep registration_secret_path alone, so that tbot.yaml holds no secret",
    ),
    "TBOT-TWO-SERVERS": Page(
        what="both auth_server and proxy_server are set",
        why="a bot reaches the Auth Service either directly or through a proxy",
        fix="keep proxy_server, unless the machine can reach the Auth Service directly",
    ),
    "TBOT-TYPE": Page(
        what="unrecognized {what} type ({type})",
        why="the types are: {known}",
        fix="use one of them",
    ),
    "TBOT-UNIT-EXISTS": Page(
        what="{path} exists and says something else",
        why="it may have been changed by hand, and is not replaced unless you say so",
        fix="compare it with `tbot install systemd`, then add --force",
    ),
    "TBOT-UNIT-NAME": Page(
        what="{option}: {word} cannot stand in a unit of systemd",
        why="names of units, users and groups have letters, digits, and a few signs that mean nothing to systemd",
        fix="use another name",
    ),
    "TBOT-URI-HOST": Page(
        what="file-backed data storage must be on the local host",
        why="file://{host}/... names another machine; a path of this one has three slashes",
        fix="write file:///opt/machine-id, or the path alone",
    ),
    "TBOT-URI-SCHEME": Page(
        what="unrecognized data storage scheme",
        why="{text} is none of: /a/path, file:///a/path, memory://, kubernetes-secret://[namespace/]name",
        fix="use one of these forms",
    ),
    "TBOT-V1-CLUSTER": Page(
        what="cluster cannot be kept for a destination of the type {kind}",
        why="in v2 only the type identity has the key `cluster`",
        fix="remove `cluster`, or make a bot in that cluster",
    ),
    "TBOT-V1-DESTINATION": Page(
        what="a destination needs either directory or memory",
        why="files go to one place, and nothing else says which",
        fix="write `directory: /opt/machine-id`, say",
    ),
    "TBOT-V1-FORMATS": Page(
        what="a database destination has several formats: {formats}",
        why="in v2 a database output has one format",
        fix="make an entry for each format, with a directory of its own",
    ),
    "TBOT-V1-SETTING": Page(
        what="{key} has no equivalent in version v2",
        why="in v2 the names of files are fixed",
        fix="remove the setting, and use the names that docs/guides/tbot.md lists",
    ),
    "TBOT-V1-SEVERAL": Page(
        what="multiple potential output types detected, cannot determine correct type",
        why="in v1 one destination could be for several things, here: {kinds}; in v2 an entry has one type",
        fix="make an entry for each, with a directory of its own",
    ),
    "TBOT-V1-TEMPLATE": Page(
        what="unknown template {template}",
        why="the templates of v1 are: {known}",
        fix="correct or remove it",
    ),
    "TBOT-VERSION": Page(
        what='unrecognized config version "{version}"',
        why="tbot.yaml has the versions v1 and v2",
        fix="write `version: v2`",
    ),
    "TBOT-WAIT": Page(
        what="the bot at {address} is not ready after {limit}: {problem}",
        why="it has to run, with this diag_addr, and its services have to succeed",
        fix="look at its log; with `tbot start --diag-addr={address}` it answers there",
    ),
    "TBOT-WAIT-ANSWER": Page(
        what="what answers at {address} is not a tbot",
        why="its answer to /readyz has no state of services",
        fix="use the bot's diag_addr: it stands in tbot.yaml, or behind `tbot start --diag-addr`",
    ),
    "TBOT-WAIT-SERVICE": Page(
        what="the bot has no service {service}",
        why="its services are: {known}",
        fix="use one of these names; in tbot.yaml an entry of services has the key `name`",
    ),
}
