"""What people hear of versions before they sign in (updates reference, warnings without management)."""

import pytest

from teleport.base.errors import NotSupported
from teleport.client.version_check import check


def said(ours, server, least="", skip=False):
    found = check({"server_version": server, "min_client_version": least}, skip=skip, ours=ours)
    return "" if found is None else f"{found.code}: {found.what}"


def test_older_than_the_cluster_is_a_warning():
    assert said("16.2.0", "16.2.0") == said("16.3.0", "16.2.0") == said("16.2.0", "") == said("16.2.0", "next") == ""
    assert said("16.1.0", "16.2.0") == "VER-BEHIND: this program has version 16.1.0, the cluster 16.2.0"
    assert said("15.0.0", "16.2.0").endswith("and is 1 major version out of date")
    assert check({}) is None


@pytest.mark.parametrize(
    ("ours", "least", "code"),
    [("14.9.0", "", "VER-TOO-OLD"), ("15.1.0", "15.2.0", "VER-TOO-OLD"), ("17.0.0", "", "VER-TOO-NEW")],
)
def test_what_does_not_work_together_is_refused_or_warned_of(ours, least, code):
    with pytest.raises(NotSupported) as caught:
        said(ours, "16.2.0", least)
    assert caught.value.code == code
    assert said(ours, "16.2.0", least, skip=True).startswith(code)
