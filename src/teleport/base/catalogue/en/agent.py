"""AGENT-*: agents and their tunnels to the proxies."""

from teleport.base.catalogue import Page

PAGES = {
    "AGENT-CLAIMED": Page(
        what="Failed to claim proxy: [{proxy}] claimed by another agent",
        why="a load balancer led to a proxy to which there is a tunnel already",
        fix="nothing has to be done: the agent tries again until it has reached every proxy",
    ),
    "AGENT-NOT-A-PROXY": Page(
        what="what answers at {address} is a service of the cluster, but no proxy",
        why="tunnels are kept to proxies alone",
        fix="write the address of a proxy into teleport.proxy_server",
    ),
}
