"""A real Chromium, with eyes: what it asks of whom, what it complains of, and whether people can read a page.

    with Chromium(folder, certificate) as chromium, chromium.window() as window:
        window.page.goto(...)
        window.check("the sign-in page")

The browser trusts one key - the certificate's - and looks up no other name. Playwright's loop counts as running
for as long as a Chromium is open: `asyncio.run` is not for tests that hold one.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from tests.support.programs import need

NARROW = 320
"""Pixels of the smallest width that people must not have to scroll sideways at (WCAG 2.2, 1.4.10)."""
_LEAST_CONTRAST = 4.5
"""WCAG 2.2, 1.4.3."""
_WIDE = {"width": 1100, "height": 760}

_LOOK = """() => {
  const numbers = text => text.match(/[\\d.]+/g).map(Number);
  const linear = v => v <= .04045 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4;
  const light = ([r, g, b]) => .2126 * linear(r / 255) + .7152 * linear(g / 255) + .0722 * linear(b / 255);
  const behind = node => {
    for (; node; node = node.parentElement) {
      const colour = numbers(getComputedStyle(node).backgroundColor);
      if (colour.length === 3 || colour[3] === 1) return colour;
    }
    return [255, 255, 255];
  };
  const faint = [];
  for (const node of document.querySelectorAll('body *')) {
    const said = [...node.childNodes].some(part => part.nodeType === 3 && part.data.trim()) || node.value;
    if (!said || !node.checkVisibility()) continue;
    const [one, two] = [light(numbers(getComputedStyle(node).color)), light(behind(node))].sort((a, b) => b - a);
    const contrast = (one + .05) / (two + .05);
    if (contrast < LEAST) faint.push(`${node.tagName} ${contrast.toFixed(2)}: ${node.innerText || node.value}`);
  }
  const fields = [...document.querySelectorAll('input:not([type=hidden]), select, textarea')];
  const doing = [...document.querySelectorAll('a, button, img, [role=img]')];
  return {
    faint,
    unlabelled: fields.filter(f => ![...f.labels].some(l => l.innerText.trim())).map(f => f.name),
    nameless: doing.filter(d => !(d.innerText || d.getAttribute('aria-label') || d.getAttribute('alt') === ''))
      .map(d => d.outerHTML.slice(0, 80)),
    width: document.documentElement.scrollWidth,
    headings: document.querySelectorAll('h1').length,
    language: document.documentElement.lang,
    title: document.title,
    cookie: document.cookie,
    active: [...document.querySelectorAll('script, iframe, object, [style], [onclick]')].length,
  };
}""".replace("LEAST", str(_LEAST_CONTRAST))


class Window:
    """One person's browser: cookies of its own, one page, and a record of what it did."""

    def __init__(self, context: BrowserContext, origin: str) -> None:
        self.context = context
        self.origin = origin
        self.page: Page = context.new_page()
        self.complaints: list[str] = []
        """Errors and warnings of the console, without those that only repeat the status of an answer."""
        self.elsewhere: list[str] = []
        """Addresses outside of the cluster that were asked."""
        self.page.on("console", lambda said: self._note(said.type, said.text))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("request", lambda request: self._note_request(request.url))

    def _note(self, kind: str, text: str) -> None:
        if kind in ("error", "warning") and not re.search(r"the server responded with a status of 4\d\d", text):
            self.complaints.append(text)

    def _note_request(self, url: str) -> None:
        if not url.startswith(f"{self.origin}/"):
            self.elsewhere.append(url)

    def open(self, path: str) -> int:
        """Open a page of the cluster, or a link; return the status of the answer."""
        answer = self.page.goto(path if path.startswith("https:") else self.origin + path)
        assert answer is not None
        return answer.status

    def fill(self, **fields: str) -> None:
        """Type into fields that are found by their names."""
        for name, value in fields.items():
            self.page.locator(f"input[name={name}]").fill(value)

    def press(self, button: str) -> int:
        """Press a button that sends a form; return the status of the page that follows."""
        with self.page.expect_navigation() as leaving:
            self.page.get_by_role("button", name=button).click()
        return leaving.value.status

    @property
    def heading(self) -> str:
        """The heading."""
        return self.page.locator("h1").inner_text()

    @property
    def problem(self) -> str:
        """What the page says is wrong, empty for nothing."""
        told = self.page.locator("[role=alert]")
        return told.inner_text() if told.count() else ""

    @property
    def text(self) -> str:
        """All that is shown."""
        return self.page.locator("body").inner_text()

    def check(self, what: str) -> None:
        """Fail unless the page can be used by anybody: readable in light and dark, on a phone, and by ear."""
        for scheme in ("light", "dark"):
            self.page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type] # one of the words it takes
            seen = self.page.evaluate(_LOOK)
            assert seen["faint"] == [], f"{what}, {scheme}"
        assert (seen["unlabelled"], seen["nameless"], seen["headings"]) == ([], [], 1), what
        assert (seen["language"], seen["active"], seen["cookie"]) == ("en", 0, ""), what
        assert " · " in seen["title"], what
        self.page.set_viewport_size({"width": NARROW, "height": 640})
        assert self.page.evaluate(_LOOK)["width"] <= NARROW, f"{what} must be scrolled sideways"
        self.page.set_viewport_size(_WIDE)  # type: ignore[arg-type] # a plain map of the two
        self.page.emulate_media(color_scheme="light")

    def cookies(self) -> dict[str, Any]:
        """Return what is kept, by name."""
        return {str(cookie.get("name")): cookie for cookie in self.context.cookies()}


class Chromium:
    """A running browser. Its home and profile are in `folder`."""

    def __init__(self, folder: Path, certificate: Path, origin: str) -> None:
        """`certificate` (PEM) is the one that is trusted; `origin` is where the cluster is."""
        need("chromium")
        self._folder = folder
        self._origin = origin
        key = x509.load_pem_x509_certificate(certificate.read_bytes()).public_key()
        digest = hashlib.sha256(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).digest()
        self._pin = base64.b64encode(digest).decode()
        self._stack = contextlib.ExitStack()
        self._browser: Browser | None = None

    def __enter__(self) -> Chromium:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("TMPDIR", str(self._folder))  # where the profile goes
            playwright = self._stack.enter_context(sync_playwright())
        self._browser = playwright.chromium.launch(
            executable_path=need("chromium"),
            args=["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-dev-shm-usage",
                  f"--ignore-certificate-errors-spki-list={self._pin}"],
            # As people have it: a page that one goes back to may come from memory.
            ignore_default_args=["--disable-back-forward-cache"],
            env={**os.environ, "HOME": str(self._folder), "XDG_CONFIG_HOME": str(self._folder / "config")},
        )  # fmt: skip
        self._stack.callback(self._browser.close)
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    @contextlib.contextmanager
    def window(self, *, script: bool = True) -> Iterator[Window]:
        """Yield a new person's window; fails if in the end it complained of something or asked anybody else."""
        assert self._browser is not None
        context = self._browser.new_context(viewport=_WIDE, java_script_enabled=script)  # type: ignore[arg-type]
        context.set_default_timeout(60_000)
        try:
            window = Window(context, self._origin)
            yield window
            assert window.complaints == []
            assert window.elsewhere == []
        finally:
            context.close()
