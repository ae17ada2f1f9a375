"""A person with a browser that keeps its cookies, in front of a site in memory."""

from __future__ import annotations

import http.cookies
from typing import Any

from tests.support import enrolled
from tests.support.auth_cluster import PASSWORD, Cluster
from tests.support.enrolled import Person
from tests.support.web_site import Reply, Site


class Tab:
    """A browser, as far as cookies and forms go."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.cookies: dict[str, str] = {}

    async def get(self, path: str, **headers: str) -> Reply:
        """Open a page, without following what it leads to."""
        return self._keep(await self.site.ask("GET", path, **self._with_cookies(headers)))

    async def send(self, path: str, fields: dict[str, str], *, to: str = "", **headers: str) -> Reply:
        """Open the page at `path` and send its form with these fields (to `to`, if the form goes elsewhere)."""
        page = await self.get(path)
        form = {"csrf": page.csrf, **fields}
        return self._keep(await self.site.form(to or path, form, **self._with_cookies(headers)))

    async def sign_in(self, person: Person, code: str = "", password: str = PASSWORD, **fields: str) -> Reply:
        """Fill in the sign-in form."""
        typed = {"username": person.name, "password": password, "code": code or person.code(), **fields}
        return await self.send("/web/login", typed)

    def _with_cookies(self, headers: dict[str, str]) -> dict[str, str]:
        sent = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        return {**headers, **({"cookie": sent} if sent else {})}

    def _keep(self, reply: Reply) -> Reply:
        for line in reply.headers.get_all("Set-Cookie") or ():
            for name, morsel in http.cookies.SimpleCookie(line).items():
                self.cookies[name] = morsel.value
                if not morsel.value or morsel["max-age"] == "0":
                    del self.cookies[name]
        return reply


async def signed_in(cluster: Cluster, site: Site, *roles: str) -> tuple[Person, Tab]:
    """Return a person who has signed up and is signed in with a browser."""
    person, tab = await enrolled.enrolled(cluster, "alice", *roles), Tab(site)
    reply = await tab.sign_in(person)
    assert reply.status == 303, reply.text
    return person, tab


def cookie_attributes(reply: Reply, name: str) -> set[str]:
    """Return how a cookie is to be kept."""
    lines: Any = reply.headers.get_all("Set-Cookie") or ()
    (line,) = [line for line in lines if line.startswith(f"{name}=")]
    return {part.strip() for part in line.split(";")[1:]}
