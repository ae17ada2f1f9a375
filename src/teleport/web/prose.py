"""Lines of errors as people read them on a page.

The catalogue writes them as a terminal shows them: without a capital letter and a full stop, with commands in
backticks.
"""

from __future__ import annotations

from markupsafe import Markup, escape

_ENDS = (".", "!", "?", ":", "`")


def sentence(text: str, end: str = ".") -> Markup:
    """Return `text` as a sentence, closed with `end` unless it ends by itself; `this` becomes code.

    What stands between the backticks is never altered: people copy it.
    """
    parts = text.split("`")
    if len(parts) % 2 == 0:  # a backtick too many: it is part of the text, not a mark
        parts = [text]
    parts[0] = parts[0][:1].upper() + parts[0][1:]
    shown = [Markup("<code>{}</code>").format(part) if index % 2 else escape(part) for index, part in enumerate(parts)]
    return Markup("").join([*shown, "" if text.endswith(_ENDS) else end])
