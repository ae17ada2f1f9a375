"""QR codes as part of a page: an SVG without script, style or address, which the content policy lets through."""

from __future__ import annotations

from markupsafe import Markup

_BORDER = 4
"""Modules of quiet zone (ISO/IEC 18004, section 9.1)."""


def svg(text: str) -> Markup:
    """Return `text` as a picture, black on white whatever the colours of the page: cameras want that.

    The size is the style sheet's (class `qr`).
    """
    import segno  # when the first person enrols: a process that waits for nobody saves its memory

    code = segno.make_qr(text, error="m")
    # Safe to insert: segno writes paths of numbers; of the text only the modules are left.
    return Markup(  # noqa: S704
        code.svg_inline(border=_BORDER, dark="#000", light="#fff", svgclass="qr", lineclass=None, omitsize=True)
    )
