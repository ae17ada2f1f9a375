"""Pages are found by the first word of their code."""

import pytest

from teleport.base import catalogue


def test_page_is_found_in_its_area():
    assert "not a duration" in catalogue.find("CFG-DURATION").what


@pytest.mark.parametrize("code", ["CFG-NONE", "NOAREA-X", "", "../cfg-X", "-", "__init__-X"])
def test_unknown_codes(code):
    with pytest.raises(catalogue.UnknownCode):
        catalogue.find(code)


def test_codes_are_sorted_and_complete():
    codes = catalogue.codes()
    assert codes == sorted(set(codes))
    assert {"CFG-DURATION", "DISK-FULL", "CLI-INTERNAL"} <= set(codes)
