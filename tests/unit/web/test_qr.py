"""QR codes as SVG: what is drawn is the code of the text, and nothing in it is code of another kind."""

import re

import segno

from teleport.web import qr

TEXT = "otpauth://totp/example.com:alice?secret=ABCDEFGHIJKLMNOPQRSTUVWXYZ234567&issuer=example.com"


def modules(picture):
    """Read the drawing back: the dark modules, by row and column."""
    (path,) = re.findall(r'<path[^>]*stroke="#000"[^>]* d="([^"]+)"', picture)
    dark, row, column = set(), 0.0, 0.0
    for command, numbers in re.findall(r"([Mmh])([^Mmh]*)", path):
        values = [float(number) for number in re.findall(r"-?\d*\.?\d+", numbers)]
        if command == "M":
            column, row = values
        elif command == "m":
            column, row = column + values[0], row + values[1]
        else:
            dark |= {(int(row - 0.5), int(column) + step) for step in range(int(values[0]))}
            column += values[0]
    return dark


def test_drawing_is_the_code_of_the_text_with_a_quiet_zone():
    matrix = segno.make_qr(TEXT, error="m").matrix
    expected = {(row + 4, column + 4) for row, line in enumerate(matrix) for column, dark in enumerate(line) if dark}
    picture = str(qr.svg(TEXT))
    assert modules(picture) == expected
    size = len(matrix) + 8
    assert f'viewBox="0 0 {size} {size}"' in picture
    assert f'fill="#fff" d="M0 0h{size}v{size}h-{size}z"' in picture


def test_nothing_but_paths_and_numbers():
    for text in (TEXT, '"><script>alert(1)</script>', "é" * 300):
        picture = str(qr.svg(text))
        assert set(re.findall(r"<(/?\w+)", picture)) == {"svg", "path", "/svg"}
        assert not re.search(r"style|http|script|href| on\w+=", picture)
