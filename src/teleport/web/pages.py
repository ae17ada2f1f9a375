"""Pages: the templates and the files beside them.

The template library is loaded with the first page: a proxy that only programs talk to never needs it.
"""

from __future__ import annotations

import functools
from importlib import resources
from typing import TYPE_CHECKING

from teleport.web import prose

if TYPE_CHECKING:
    import jinja2

_FOLDER = "templates"


@functools.cache
def _templates() -> jinja2.Environment:
    import jinja2

    found = jinja2.Environment(
        loader=jinja2.PackageLoader("teleport.web", _FOLDER), autoescape=True, undefined=jinja2.StrictUndefined
    )
    found.filters["sentence"] = prose.sentence
    return found


def page(name: str, values: dict[str, object]) -> str:
    """Return a page with its values; one that is missing is a defect and raises."""
    return _templates().get_template(name).render(values)


@functools.cache
def asset(name: str) -> str:
    """Return the text of a file that pages refer to."""
    return resources.files("teleport.web").joinpath(_FOLDER, name).read_text(encoding="utf-8")
