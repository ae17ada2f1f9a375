"""The catalogue of errors: a page per code, found by the code's first word.

`find("POL-NO-LOGIN")` opens `catalogue/en/pol.py` and takes `PAGES["POL-NO-LOGIN"]`. Texts of another
language stand in a folder beside `en`. Templates are `str.format` with named fields only.
"""

from __future__ import annotations

from teleport.base.lean import NamedTuple


class Page(NamedTuple):
    """One entry. `what` is one line; `why` and `fix` may be empty; `more` is for `help CODE` alone."""

    what: str
    why: str = ""
    fix: str = ""
    more: str = ""


class UnknownCode(LookupError):
    """No page has this code."""


def find(code: str, language: str = "en") -> Page:
    """Return the page of `code`. Raises UnknownCode."""
    area = code.partition("-")[0].lower()
    if not area.isalnum():
        raise UnknownCode(code)
    try:
        pages: dict[str, Page] = __import__(f"{__name__}.{language}.{area}", fromlist=("PAGES",)).PAGES
        return pages[code]
    except (ImportError, KeyError):
        raise UnknownCode(code) from None


def codes(language: str = "en") -> list[str]:
    """Return every code, sorted. Opens all areas."""
    import importlib
    import pkgutil  # every command imports this module, and one lists the codes

    package = importlib.import_module(f"{__name__}.{language}")
    found: list[str] = []
    for module in pkgutil.iter_modules(package.__path__):
        found += importlib.import_module(f"{__name__}.{language}.{module.name}").PAGES
    return sorted(found)
