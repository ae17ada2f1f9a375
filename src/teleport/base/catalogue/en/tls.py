"""TLS-*: certificates of servers, as clients see them."""

from teleport.base.catalogue import Page

PAGES = {
    "TLS-NO-IP-SAN": Page(
        what="the certificate that is shown names no IP address",
        why="the configuration has {address}, and the certificate of the proxy is for names",
        fix="write the name of the proxy in place of {address}; beside another failure of an `auth_server` this is "
        "only what became of a second attempt, and the first line of the error says what is wrong",
    ),
}
