"""API-*: calls between programs."""

from teleport.base.catalogue import Page

PAGES = {
    "API-REMOTE": Page(
        what="the server refused the call with code {remote_code}: {message}",
        why="this client is older than the server and does not know that code",
        fix="update this client to the server's version",
    ),
    "API-INTERNAL": Page(
        what="the server failed to answer the call",
        why="an unexpected condition on the server; its log has the details under the same id",
        fix="try again; if it stays, look for the id in the server's log",
    ),
}
