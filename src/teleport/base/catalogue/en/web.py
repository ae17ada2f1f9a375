"""WEB-*: pages and endpoints of the proxy's web port."""

from teleport.base.catalogue import Page

PAGES = {
    "WEB-REQUEST": Page(
        what="the request cannot be understood: {problem}",
        why="its path, method, headers or body do not fit this endpoint",
        fix="if a program sent it, update that program; if you typed it, check the address",
    ),
    "WEB-NOT-FOUND": Page(
        what="there is no such page",
        why="the address is mistyped, or the link was cut when it was copied",
        fix="copy the whole link again, or begin at the front page of the cluster",
    ),
    "WEB-METHOD": Page(
        what="this address cannot be used in this way",
        why="it answers only to {allowed}",
        fix="if a program sent the request, update that program",
    ),
    "WEB-TOO-LARGE": Page(
        what="the request is larger than {limit} bytes",
        why="forms and sign-ins are far smaller, and memory is not kept for more",
        fix="if a program sent it, update that program",
    ),
    "WEB-SLOW": Page(
        what="the request was not complete after {seconds} s",
        why="the connection is very slow, or something on the way holds the data back",
        fix="try again, from another network if you can",
    ),
    "WEB-OTHER-SITE": Page(
        what="this form was sent from another site",
        why="only pages of this cluster may send its forms",
        fix="open the link in a new window and fill in the form there",
    ),
    "WEB-CSRF": Page(
        what="the form could not be matched with your browser",
        why="the page was open too long, cookies are blocked, or the form was sent from another site",
        fix="open the link again, allow cookies for this site, and send the form once more",
    ),
    "WEB-GUESSES": Page(
        what="too many sign-ins have failed from your network",
        why="{limit} attempts from your address failed within {minutes} minutes; others are not even looked at",
        fix="wait {minutes} minutes; where a load balancer stands in front of the proxy, have it tell the proxy who "
        "its clients are",
    ),
    "WEB-PASSWORDS-DIFFER": Page(
        what="the two passwords are not the same",
        why="a password is typed twice so that a slip of the finger does not lock you out",
        fix="type the same password in both fields",
    ),
    "WEB-UPGRADE": Page(
        what="unsupported upgrade types: {types}",
        why="this server upgrades connections to websocket, alpn-ping and alpn",
        fix="update the client, or look whether a load balancer on the way removes the Upgrade field",
    ),
    "WEB-UPGRADE-LOST": Page(
        what="the request for an upgrade came without `Connection: Upgrade`",
        why="a load balancer on the way removed it: it does not pass on WebSocket upgrades",
        fix="let it pass them on (nginx: proxy_http_version 1.1; proxy_set_header Upgrade $http_upgrade; "
        "proxy_set_header Connection upgrade;)",
    ),
    "WEB-FORWARDED": Page(
        what="X-Forwarded-For must hold one address: {value}",
        why="with `trust_x_forwarded_for` the load balancer says who its client is, and with several addresses nobody "
        "can tell which of them a stranger wrote",
        fix="let the load balancer set the field instead of adding to it (nginx: proxy_set_header X-Forwarded-For "
        "$remote_addr; HAProxy: http-request set-header X-Forwarded-For %[src])",
    ),
}
