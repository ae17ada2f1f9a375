"""WEB-*: pages and endpoints of the proxy's web port."""

from teleport.base.catalogue import Page

PAGES = {
    "WEB-REQUEST": Page(
        what="the request cannot be understood: {problem}",
        why="its path, method, headers or body do not fit this endpoint",
        fix="if a program sent it, update that program; if you typed it, check the address",
    ),
    "WEB-CSRF": Page(
        what="the form could not be matched with your browser",
        why="the page was open too long, cookies are blocked, or the form was sent from another site",
        fix="open the link again, allow cookies for this site, and send the form once more",
    ),
    "WEB-PASSWORDS-DIFFER": Page(
        what="the two passwords are not the same",
        why="a password is typed twice so that a slip of the finger does not lock you out",
        fix="type the same password in both fields",
    ),
}
