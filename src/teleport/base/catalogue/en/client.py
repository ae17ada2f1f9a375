"""CLIENT-*: the user's side of a connection."""

from teleport.base.catalogue import Page

PAGES = {
    "CLIENT-NOT-LOGGED-IN": Page(
        what="Not logged in.",
        why="no profile of a sign-in was found under ~/.tsh (or TELEPORT_HOME)",
        fix="tsh login --proxy=HOST --user=NAME",
    ),
    "CLIENT-NO-PROXY": Page(
        what="no proxy was named, and no earlier sign-in is known",
        why="the first sign-in needs the address of the cluster's proxy",
        fix="tsh login --proxy=HOST --user=NAME, or set TELEPORT_PROXY",
    ),
    "CLIENT-EXPIRED": Page(
        what="Active profile expired.",
        why="the certificates of {user} at {proxy} were valid until {until}",
        fix="tsh login --proxy={proxy} --user={user}",
    ),
    "CLIENT-PROFILE": Page(
        what="the profile {path} cannot be read: {problem}",
        why="the file was changed by hand or written by another version",
        fix="remove it and sign in again: tsh login",
    ),
    "CLIENT-PROXY-NAME": Page(
        what="{proxy!r} cannot be the name of a proxy, cluster or user",
        why="it becomes part of a file name, so it must not contain '/' or begin with a dot",
        fix="use the host name of the proxy",
    ),
    "CLIENT-ANSWER": Page(
        what="the answer of the proxy cannot be used: {problem}",
        why="the proxy is of another version, or something between changed its answer",
        fix="compare `tsh version` with the version of the cluster",
    ),
    "CLIENT-WEB-CERT": Page(
        what="the certificate of {address} is not trusted: {problem}",
        why="it was not issued by an authority that this machine knows, or is for another name",
        fix="give the proxy a certificate of a public authority, or, on a first test, add --insecure",
    ),
    "CLIENT-NOT-TLS": Page(
        what="{address} does not speak TLS as a proxy does: {problem}",
        why="another program listens there, or a load balancer in between expects plain HTTP",
        fix="check the port: the proxy's web port is usually 443 or 3080",
    ),
    "CLIENT-UNREACHABLE": Page(
        what="cannot reach {address}: {problem}",
        why="the name does not resolve, nothing listens there, or a firewall drops the connection",
        fix="check the address, then `curl -v https://{address}/webapi/ping`",
    ),
    "CLIENT-NOT-A-PROXY": Page(
        what="{address} answered with HTTP status {status}, but not as a proxy of a cluster",
        why="another web server or a load balancer answered in its place",
        fix="check the address and what stands in front of the proxy",
    ),
}
