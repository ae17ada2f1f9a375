"""A browser as far as the sign-up page needs one: cookies, a form, and the web port's certificate."""

from __future__ import annotations

import html
import http.cookiejar
import re
import ssl
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

from tests.support.authenticator import Authenticator


class Page(NamedTuple):
    """An answer."""

    status: int
    text: str

    @property
    def heading(self) -> str:
        """The first heading."""
        found = re.search(r"<h1[^>]*>(.*?)</h1>", self.text, re.S)
        return found[1].strip() if found else ""

    @property
    def csrf(self) -> str:
        """The hidden field that the form must send back."""
        found = re.search(r'name="csrf" value="([0-9a-f]+)"', self.text)
        return found[1] if found else ""

    @property
    def secret(self) -> str:
        """The secret for an authenticator app, as people type it; empty where none is enrolled."""
        found = re.search(r'id="secret">([A-Z2-7 ]+)<', self.text)
        return found[1] if found else ""

    @property
    def user(self) -> str:
        """Whom a sign-up page is for."""
        found = re.search(r'name="username" value="([^"]+)"', self.text)
        return html.unescape(found[1]) if found else ""


class Browser:
    """One person's browser. It trusts `authority` (PEM) and nothing else."""

    def __init__(self, authority: Path, phones: dict[str, Authenticator] | None = None) -> None:
        """`phones` takes the authenticator app of each user who signs up here."""
        self._phones = {} if phones is None else phones
        self._opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({}),
            urllib.request.HTTPSHandler(context=ssl.create_default_context(cafile=str(authority))),
            urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar()),
        )

    def get(self, address: str) -> Page:
        """Open a page."""
        return self._open(address)

    def post(self, address: str, fields: dict[str, str], **headers: str) -> Page:
        """Send a form."""
        data = urllib.parse.urlencode(fields).encode()
        return self._open(address, data, headers)

    def send(self, address: str, body: bytes) -> Page:
        """Send JSON, as a program does."""
        return self._open(address, body, {"Content-Type": "application/json"})

    def set_password(self, link: str, password: str) -> Page:
        """Do what the page behind a link asks for: type a password twice, and a code where an app is enrolled."""
        page = self.get(link)
        fields = {"csrf": page.csrf, "password": password, "again": password}
        if not page.secret:
            return self.post(link, fields)
        phone = Authenticator(page.secret)
        answer = self.post(link, {**fields, "code": phone.code()})
        if answer.status == 200:
            self._phones[page.user] = phone
        return answer

    def _open(self, address: str, data: bytes | None = None, headers: Mapping[str, str] = MappingProxyType({})) -> Page:
        assert address.startswith("https://")
        request = urllib.request.Request(address, data=data, headers=dict(headers))  # noqa: S310 - checked above
        try:
            with self._opener.open(request, timeout=20) as answer:
                return Page(answer.status, answer.read().decode())
        except urllib.error.HTTPError as error:
            with error:
                return Page(error.code, error.read().decode())
