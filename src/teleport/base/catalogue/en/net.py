"""NET-*: connections, addresses and TLS."""

from teleport.base.catalogue import Page

PAGES = {
    "NET-CONFIG-FILE": Page(
        what="cluster_networking_config is managed by static configuration",
        why="idle times or keep-alive stand under `auth_service` in the auth service's file",
        fix="change them there and restart, or remove the keys there, restart, and use `tctl edit` from then on",
    ),
    "NET-TPM": Page(
        what="the TPM at {path} cannot be used: {problem}",
        why="the machine has none, it is switched off in the firmware, or this user may not open it",
        fix="see `ls -l {path}`: root and the group tss may use it; TELEPORT_TPM names another device or Unix socket",
    ),
    "NET-TPM-REFUSED": Page(
        what="the TPM refused a command: response code {response}",
        why="the owner of the machine may have set a password for its endorsement hierarchy, or locked the chip",
        fix="see what the code means (tpm2_rc_decode {response}); `tpm2_clear` and a restart reset the chip",
    ),
    "NET-FETCH": Page(
        what="cannot fetch {url}: {problem}",
        why="a proof of a join method is made or checked with what this address says",
        fix="check name resolution, firewalls and the time of this machine; then try again",
    ),
    "NET-FETCH-URL": Page(
        what="{url} is not fetched",
        why="only https is believed",
        fix="correct the address in the configuration of who published it",
    ),
    "NET-FETCH-SIZE": Page(
        what="what {url} answers is longer than {limit} bytes",
        why="answers of strangers are bounded",
        fix="check that the address is the right one",
    ),
    "NET-RESET": Page(
        what="the connection to {address} was reset",
        why="the other end, or something between, dropped it: {reason}",
        fix="try again; if it stays, look at the other end's log for the same time",
    ),
    "NET-CLOSED": Page(
        what="the connection to {address} is closed",
        why="this end closed it, or an interrupted write left it unusable",
        fix="open a new connection",
    ),
    "NET-BUSY": Page(
        what="two tasks {action} the connection to {address} at the same time",
        why="a stream has one reader and one writer",
        fix="this is a defect of the program: please report it",
    ),
    "NET-ADDRESS": Page(
        what="{value!r} is not an address",
        why="{problem}",
        fix="write host:port, [IPv6]:port or unix:/path",
    ),
    "NET-REFUSED": Page(
        what="{address} refused the connection",
        why="nothing listens there, or a firewall rejects it",
        fix="check the address, and that the service is started on it",
    ),
    "NET-DNS": Page(
        what="the name {host} cannot be resolved",
        why="{reason}",
        fix="check the name for typing errors and the name server with `getent hosts {host}`",
    ),
    "NET-TIMEOUT": Page(
        what="no connection to {address} within {seconds} seconds",
        why="no answer came: a firewall drops the packets, or the host is down",
        fix="check the address and the firewalls on the way",
    ),
    "NET-UNREACHABLE": Page(
        what="{address} cannot be reached",
        why="{reason}",
        fix="check the route and the address",
    ),
    "NET-DENIED": Page(
        what="this user may not connect to or listen on {address}",
        why="{reason}",
        fix="run as the owner of the socket, or choose another port or path",
    ),
    "NET-IN-USE": Page(
        what="the address {address} is already in use",
        why="another process listens on it",
        fix="stop that process (`ss -ltnpx` names it) or choose another address",
    ),
    "NET-NOT-A-SOCKET": Page(
        what="{address} exists and is not a socket",
        why="only a stale socket is removed to make room for a new one",
        fix="move the file away or choose another path",
    ),
    "NET-LISTEN": Page(
        what="cannot listen on {address}",
        why="{reason}",
        fix="choose an address of this host",
    ),
    "NET-FILES": Page(
        what="new connections to {address} wait: {reason}",
        why="the process or the host has no free file descriptors or memory for them",
        fix="raise the limit (`ulimit -n`, LimitNOFILE= in the unit) or the number of instances",
    ),
    "NET-FIRST-BYTES": Page(
        what="no complete first message from {address} within {seconds} seconds",
        why="the peer connected and did not say what it wants in time",
        fix="connect with a TLS client; health checks should use HTTPS",
    ),
    "NET-SSH-SERVER": Page(
        what="the SSH connection to {host} failed: {problem}",
        why="the proxy ends your connection and makes a second one to the server, and that one broke",
        fix="look into the log of sshd on {host}; it must be OpenSSH 7.4 or newer",
    ),
    "NET-SSH-SERVER-REFUSED": Page(
        what="{host} does not let the proxy in: {said}",
        why="the account is missing or closed there, or sshd does not trust the cluster's openssh authority",
        fix="run `teleport join openssh` on {host} again, or compare its TrustedUserCAKeys with "
        "`tctl auth export --type=openssh`",
    ),
    "NET-SSH-SERVER-DECLINED": Page(
        what="{host} did not do what was asked: {problem}",
        why="its sshd, or the SSH Service there, is configured to refuse it, or could not start it",
        fix="look into sshd_config and the log of sshd on {host}; a node has `ssh_service` in teleport.yaml instead",
    ),
    "NET-PROTOCOL": Page(
        what="failed to detect connection protocol, first few bytes were: {start}",
        why="{problem}",
        fix="connect with a TLS client; health checks should use HTTPS",
    ),
    "NET-PLAIN-HTTP": Page(
        what="this port speaks HTTPS, and the request came as plain HTTP",
        why="nothing is served without encryption",
        fix="use https:// in the address; a load balancer needs an HTTPS backend (nginx: proxy_pass https://..., nginx "
        'ingress: the annotation nginx.ingress.kubernetes.io/backend-protocol: "HTTPS"), also for health checks',
    ),
    "NET-NO-ROUTE": Page(
        what="no handler for the protocols offered: {alpn}",
        why="the service that they belong to is not enabled here",
        fix="check the address, and which services are enabled on this host",
    ),
    "NET-IDLE": Page(
        what="the connection was closed after {seconds} seconds without data",
        why="the idle limit was reached",
        fix="send keep-alives, or raise the idle limit",
    ),
    "NET-DEADLINE": Page(
        what="the connection was closed because its time was over",
        why="a connection lives no longer than the certificate or the limit that admitted it",
        fix="sign in again and reconnect",
    ),
    "NET-CUT": Page(
        what="the connection was cut: {reason}",
        why="an administrator or a lock ended it",
        fix="ask your administrator",
    ),
    "NET-TLS-TIMEOUT": Page(
        what="no TLS handshake with {address} within {seconds} seconds",
        why="the peer accepted the connection and did not answer",
        fix="check that the address is a TLS port and that nothing between holds the packets back",
    ),
    "NET-TLS-EOF": Page(
        what="{address} closed the connection during the TLS handshake",
        why="the peer does not speak TLS on this port, or it refused this connection without saying why",
        fix="check the address and port, and the other end's log",
    ),
    "NET-TLS-TRUNCATED": Page(
        what="the TLS connection to {address} ended without its closing message",
        why="the peer crashed, or something between cut the connection; data may be missing",
        fix="try again",
    ),
    "NET-TLS-NOT-TLS": Page(
        what="{address} does not speak TLS",
        why="its first bytes are not a TLS message",
        fix="check the port: is it a plain HTTP or an SSH port?",
    ),
    "NET-TLS-FAILED": Page(
        what="the TLS connection with {address} failed: {reason}",
        why="the two sides could not agree, or a message was damaged",
        fix="check both ends' logs and versions",
    ),
    "NET-TLS-VERSION": Page(
        what="no common TLS version or cipher with {address}",
        why="{reason}",
        fix="update the older side; TLS 1.2 is the least",
    ),
    "NET-TLS-PROTOCOL": Page(
        what="no shared application protocol with {address}",
        why="this side offers {offered}; a proxy or load balancer between may have removed them",
        fix="check the address, and whether a load balancer on the way terminates TLS",
    ),
    "NET-TLS-EXPIRED": Page(
        what="the certificate of {address} has expired",
        why="{reason}",
        fix="renew it; if it is fresh, check the clocks on both sides",
    ),
    "NET-TLS-NOT-YET-VALID": Page(
        what="the certificate of {address} is not valid yet",
        why="{reason}",
        fix="check the clocks on both sides",
    ),
    "NET-TLS-UNKNOWN-CA": Page(
        what="the certificate of {address} is signed by an unknown authority",
        why="{reason}",
        fix="check that this is the right cluster; sign in again if its authority was rotated",
    ),
    "NET-TLS-NAME": Page(
        what="the certificate of {address} is for another name",
        why="{reason}",
        fix="use a name that is in the certificate, or add this one to `public_addr`",
    ),
    "NET-TLS-BAD-CERTIFICATE": Page(
        what="the certificate of {address} is not acceptable",
        why="{reason}",
        fix="check which certificate the other side presents and for what use it was issued",
    ),
    "NET-TLS-NO-CERTIFICATE": Page(
        what="{address} presented no certificate",
        why="this port asks every client for one",
        fix="sign in first (`tsh login`), or give an identity file",
    ),
    "NET-TLS-REFUSED-BAD-CERTIFICATE": Page(
        what="{address} refused our certificate: bad certificate",
        why="the certificate is damaged, revoked, of the wrong use, or not one of that cluster",
        fix="sign in again (`tsh login`); check that the address belongs to the cluster",
    ),
    "NET-TLS-REFUSED-EXPIRED": Page(
        what="{address} refused our certificate: bad certificate (it has expired)",
        why="the validity is over by the other side's clock",
        fix="sign in again (`tsh login`); if it is fresh, check the clocks on both sides",
    ),
    "NET-TLS-REFUSED-UNKNOWN-CA": Page(
        what="{address} refused our certificate: unknown certificate authority",
        why="it was issued by another cluster, or before that cluster's authority was rotated",
        fix="sign in to that cluster (`tsh login --proxy=...`)",
    ),
    "NET-TLS-REFUSED-NO-CERTIFICATE": Page(
        what="{address} asks for a certificate and got none",
        why="this port is for signed-in callers only",
        fix="sign in first (`tsh login`), or give an identity file",
    ),
    "NET-FRAMES-CUT": Page(
        what="the upgraded connection to {address} ended without its closing message",
        why="something between cut the connection; data may be missing",
        fix="try again; if it stays, look at the time limits of the load balancers on the way",
    ),
    "NET-CONNECT-VALUE": Page(
        what="{variable} does not name an HTTP CONNECT proxy: {problem}",
        why="its value is scheme://[user[:password]@]host:port with http or https, or host:port",
        fix="correct {variable}, or list the address in NO_PROXY to go there directly",
    ),
    "NET-CONNECT-LOOPBACK": Page(
        what="{variable} names {host}, which is not usable as an HTTP CONNECT proxy",
        why="localhost means this machine, and another one each time the setting is copied",
        fix="give the proxy's DNS name or private address in {variable}, or list the address in NO_PROXY",
    ),
    "NET-CONNECT-PROXY": Page(
        what="the HTTP CONNECT proxy {proxy} of {variable} cannot be used: {problem}",
        why="all connections to addresses that NO_PROXY does not name go through it",
        fix="check the address in {variable}, or list addresses to reach directly in NO_PROXY",
    ),
    "NET-CONNECT-ANSWER": Page(
        what="the HTTP CONNECT proxy {proxy} of {variable} did not open a connection: {problem}",
        why="it does not do CONNECT, or no HTTP proxy answers there; one that speaks TLS needs https:// in {variable}",
        fix="check scheme, host and port in {variable}, or list addresses to reach directly in NO_PROXY",
    ),
    "NET-CONNECT-LOGIN": Page(
        what="the HTTP CONNECT proxy {proxy} ({server}) asks who you are",
        why="{variable} has {given} user and password for it",
        fix="write {variable}=http://USER:PASSWORD@{proxy}",
    ),
    "NET-CONNECT-FORBIDDEN": Page(
        what="the HTTP CONNECT proxy {proxy} ({server}) does not let connections to {target} through",
        why="its rules forbid the host or the port; it answered {said}",
        fix="ask who runs it to allow CONNECT to {target}, or list it in NO_PROXY to go there directly; the proxy is "
        "that of {variable}",
    ),
    "NET-CONNECT-TARGET": Page(
        what="the HTTP CONNECT proxy {proxy} ({server}) does not reach {target}",
        why="it answered {said}: the name is unknown to it, or nothing answers there",
        fix="check the address as the proxy sees it, or list it in NO_PROXY to go there directly; the proxy is that of "
        "{variable}",
    ),
    "NET-NOT-A-PROXY": Page(
        what="what answers at {address} is not a proxy of a cluster: {problem}",
        why="another program ({server}) listens there, or a load balancer leads elsewhere",
        fix="check address and port: `curl https://{address}/webapi/find` shows what a proxy says of itself",
    ),
    "NET-WRONG-SERVICE": Page(
        what="{address} is {found}, not {wanted}: {fix}",
        why="that is what answered when it was asked; the attempt ended with: {problem}",
        fix="correct the address; `doctor net` of the same program then looks at everything on the way",
    ),
    "NET-VERSION-OLD": Page(
        what="this program has version {ours}, which the proxy ({theirs}) does not serve any more",
        why="its oldest version of clients is {least}",
        fix="install a newer version of this program",
    ),
    "NET-TLS-SOON": Page(
        what="the certificate of the web port ends soon",
        why="it has less than a week left",
        fix="renew it, then let the proxy read it again: `systemctl reload teleport`",
    ),
    "NET-SPLIT-DNS": Page(
        what="the public_addr that the proxy names cannot be reached from here",
        why="clients are sent to the first public_addr of the proxy; {address} does not answer here",
        fix="make {address} reachable from here, or put the address that works first in proxy_service.public_addr",
    ),
    "NET-PORTS": Page(
        what="one of the proxy's separate ports cannot be reached",
        why="the proxy has separate ports (tls_routing_enabled is false), and a firewall lets only some of them pass",
        fix="let TCP pass from here to {address}, or set auth_service.proxy_listener_mode: multiplex",
    ),
    "NET-WEB-OK-CLI-BAD": Page(
        what="web pages get through, stock SSH clients do not",
        why="the load balancer takes HTTPS alone: stock `ssh -J` does not get through it, `tsh` does",
        fix="use `tsh ssh`, or the ProxyCommand of `tsh config`; or let the balancer pass TCP through unopened (L4)",
    ),
    "NET-NO-SSH": Page(
        what="SSH does not get through to {address}",
        why="what answers there is not the proxy, or takes no SSH: other programs say `ssh: overflow reading version "
        "string`, or EOF",
        fix="use a balancer that passes TCP through (L4), or the address of the proxy itself",
    ),
    "NET-ALPN-STRIPPED": Page(
        what="a load balancer ({server}) at {address} ends TLS and hides from the proxy what is asked for: {problem}",
        why="the web pages work through it, everything else needs the protocol name in TLS (ALPN), or a WebSocket",
        fix="let it pass on WebSocket upgrades of /webapi/connectionupgrade (nginx: proxy_http_version 1.1 with the "
        "Upgrade and Connection fields), or pass TLS through unopened",
        more="Shows in other programs as `ssh: overflow reading version string` or EOF. Versions before 13.0 cannot go "
        "through such a load balancer; behind Cloudflare it must be 15.1. To see who is at fault, connect straight to "
        "the proxy's web port.",
    ),
    "NET-502-BACKEND-HTTP": Page(
        what="the load balancer ({server}) at {address} does not get through to the proxy: it answered {status}",
        why="it speaks plain HTTP to the web port, which takes HTTPS alone, or the proxy is down",
        fix="give it an HTTPS backend (nginx: proxy_pass https://...; nginx ingress: the annotation "
        'nginx.ingress.kubernetes.io/backend-protocol: "HTTPS"; HAProxy: ssl on the server line)',
        more="Shows in other programs as `502: Bad Gateway` or `ssh: overflow reading version string`.",
    ),
    "NET-UPGRADE-UNKNOWN": Page(
        what="connection upgrade call to {address} failed with status code 404",
        why="something ({server}) ends TLS there, and the proxy behind it does not know connection upgrades",
        fix="Please upgrade the server and try again, or pass TLS through to it unopened.",
    ),
    "NET-UPGRADE-VALUE": Page(
        what="{variable} has an entry that is neither true nor false: {entry!r}",
        why="it is true, false, or a list of those and of host:port=true entries",
        fix="correct {variable}, or remove it: whether an upgrade is needed is found out",
    ),
    "NET-TUNNEL-CLOSED": Page(
        what="the tunnel to {address} is closed",
        why="{reason}",
        fix="agents connect again by themselves; try again in a few seconds",
    ),
    "NET-TUNNEL-REFUSED": Page(
        what="the other end of the tunnel to {address} refused the connection: {text}",
        why="it was asked over a tunnel that works, and said no",
        fix="look into the log of the agent at the same time",
    ),
    "NET-TUNNEL-DRAINING": Page(
        what="the tunnel to {address} takes no new connections",
        why="one of its ends is about to stop or to be replaced",
        fix="use another tunnel of the same agent, or try again in a few seconds",
    ),
    "NET-TUNNEL-TIMEOUT": Page(
        what="no answer over the tunnel to {address} within {seconds} seconds",
        why="the agent is busy, or the network between is slow or broken",
        fix="look at the agent's load and log; a tunnel that is broken closes itself",
    ),
    "NET-TUNNEL-SILENT": Page(
        what="the tunnel to {address} was closed after {seconds} seconds without an answer",
        why="the network between drops the packets, or the other process is stopped",
        fix="the agent connects again by itself; check the network between if that repeats",
    ),
    "NET-PROXY-OFF": Page(
        what="external PROXY protocol support is disabled",
        why="the connection from {address} began with a PROXY header, and `proxy_protocol` is `off`",
        fix="set `proxy_protocol: on` if a load balancer sends it, or stop the load balancer from sending it",
    ),
    "NET-PROXY-MISSING": Page(
        what="connection from {address} rejected because PROXY protocol is enabled but required PROXY protocol line "
        "wasn't received",
        why="`proxy_protocol` is `on`, so that every connection must come through the load balancer",
        fix="connect to the load balancer; or let it send the header (HAProxy: `send-proxy-v2`)",
    ),
    "NET-PROXY-TWICE": Page(
        what="duplicate {form} PROXY line",
        why="one header says who the client is; two of a kind contradict each other",
        fix="let only one of the load balancers in a row send the header",
    ),
    "NET-PROXY-ORDER": Page(
        what="received unsigned PROXY line after already receiving signed PROXY line",
        why="what follows a proxy's signed header is the client's, which may not say who it is",
        fix="put load balancers before the proxy, or between it and the Auth Service, but let the proxy speak last",
    ),
    "NET-PROXY-UNSET": Page(
        what="a PROXY header was accepted from {address}, and `proxy_protocol` is not set",
        why="without the setting anybody may send the header and say any address, so that certificates bound to an "
        "address are refused on such connections",
        fix="set `proxy_protocol: on` where a load balancer sends the header, `off` everywhere else",
    ),
}
