"""VER-*: versions that do or do not work together."""

from teleport.base.catalogue import Page

PAGES = {
    "VER-SKEW": Page(
        what="two parts of the cluster are more than one major version apart",
        why="versions more than one major apart do not speak the same language",
        fix="upgrade in this order: Auth Service, proxies, agents, clients; one major version at a time",
    ),
}
