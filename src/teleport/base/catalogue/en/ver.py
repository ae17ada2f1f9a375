"""VER-*: versions that do or do not work together."""

from teleport.base.catalogue import Page

PAGES = {
    "VER-TOO-OLD": Page(
        what="client version is unsupported, minimum supported version is {least}",
        why="{who} has version {version}, the cluster {server}: more than one major apart they do not work together",
        fix="upgrade {who} to a version from {least} up to {server}",
    ),
    "VER-TOO-NEW": Page(
        what="{who} has version {version}, which is newer than the {server} of the cluster",
        why="a cluster does not know what later major versions say",
        fix="upgrade the cluster first: Auth Service, then proxies; or go on with `--skip-version-check`",
    ),
    "VER-BEHIND": Page(
        what="this program has version {ours}, the cluster {theirs}{far}",
        why="programs follow the cluster, at most one major version behind",
        fix="install version {theirs} of this program",
    ),
    "VER-SKEW": Page(
        what="two parts of the cluster are more than one major version apart",
        why="versions more than one major apart do not speak the same language",
        fix="upgrade in this order: Auth Service, proxies, agents, clients; one major version at a time",
    ),
}
