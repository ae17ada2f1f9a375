"""PROXY-*: the proxy's listeners, and the way through it to a node."""

from teleport.base.catalogue import Page

PAGES = {
    "PROXY-KEYPAIR": Page(
        what="{certificate} and {key} are not a certificate and its key",
        why="https_keypairs wants PEM files: the certificate chain in cert_file, the private key in key_file",
        fix="check that the two files were not swapped",
    ),
    "PROXY-CLUSTER": Page(
        what='unknown cluster "{cluster}"',
        why="this proxy serves {known} and no other cluster",
        fix="leave --cluster out, or sign in at the proxy of that cluster: tsh login --proxy=HOST",
    ),
    "PROXY-AMBIGUOUS": Page(
        what="ambiguous host could match multiple nodes: {host}",
        why="{nodes}",
        fix="name one by its id, for example: tsh ssh {first}",
    ),
    "PROXY-PINNED-IP": Page(
        what="the certificate of {user} is bound to an address and cannot be used through the proxy",
        why="the node would see the proxy's address instead of yours and could not check the binding",
        fix="connect to the node directly, or ask an administrator about the role option pin_source_ip",
    ),
    "PROXY-NODE-UNREACHABLE": Page(
        what='Teleport proxy failed to connect to "node" agent "{node}" over {way}: {problem}',
        why="This usually means that the agent is offline or has disconnected.",
        fix="check on the node that the SSH Service runs, and that the proxy's host may connect to its port, or for a "
        "reverse tunnel the node's host to the proxy",
    ),
    "PROXY-NO-TUNNEL": Page(
        what="no {kind} reverse tunnel for {host} found",
        why="the agent is offline, or connected to another proxy",
        fix="look into the log of the agent for its connection to the proxy",
    ),
    "PROXY-NOT-A-PEER": Page(
        what="{name} is not a proxy of this cluster",
        why="at the port for proxies only those are served that show a certificate of a proxy",
        fix="agents and clients connect to the public address of the proxy",
    ),
    "PROXY-PEER-GONE": Page(
        what="the proxy {proxy} to which the agent is connected cannot be asked",
        why="it has stopped, or has no peer_listen_addr",
        fix="look with `tctl get proxies`; proxies and agents need a restart after tunnel_strategy was changed",
    ),
    "PROXY-PEER-OTHER": Page(
        what="at {address} answers {name} instead of the proxy {proxy}",
        why="several proxies have the same peer_public_addr, or it leads somewhere else",
        fix="give each proxy a peer_public_addr of its own",
    ),
    "PROXY-NOT-AN-AGENT": Page(
        what="{name} is not an agent that this proxy keeps a tunnel for",
        why="its certificate is not for one of: {known}",
        fix="a tunnel is opened with the certificate of a service, not with that of the host",
    ),
    "PROXY-TUNNELS-FULL": Page(
        what="this proxy has {limit} tunnels already",
        why="more agents have connected than one process can serve",
        fix="run another proxy behind the same public address",
    ),
    "PROXY-SUBSYSTEM": Page(
        what="invalid format for proxy request: {request!r}, expected 'proxy:host:port@cluster'",
        why="on the proxy a session is only a way to a node",
        fix="connect with `ssh -J`, or use the configuration that `tsh config` prints",
    ),
    "PROXY-NO-SESSION": Page(
        what="{thing} is not available on the proxy",
        why="the proxy has no accounts: it only leads to nodes",
        fix="name a node: tsh ssh LOGIN@NODE, or ssh -J PROXY LOGIN@NODE",
    ),
    "PROXY-NOT-SSH": Page(
        what='required prefix "SSH-2.0" was not found',
        why="this way leads to SSH servers, and the client began with something else",
        fix="use an SSH client",
    ),
    "PROXY-INTERNAL": Page(
        what="the proxy failed to handle the request",
        why="an unexpected condition; its log has the details",
        fix="try again; if it stays, look at the log of the proxy",
    ),
    "PROXY-NO-KUBE": Page(
        what="received kube request but k8 service is disabled",
        why="a client asked for {name}, the name of the Kubernetes protocol, which this proxy does not serve",
        fix="use another proxy of the cluster for Kubernetes",
    ),
    "PROXY-NO-DATABASE": Page(
        what="this proxy serves no databases",
        why="a client spoke {protocol}, for which this build has no service",
        fix="connect to the database itself",
    ),
}
