"""Who signs for clouds: the roots of Azure are among those of this system."""

from __future__ import annotations

import os

import pytest
from cryptography import x509

from teleport.auth.join.cloud_roots import AZURE_ROOTS, SYSTEM_ROOTS, CloudRoots, common_name
from teleport.base.disk import SystemDisk
from tests.support.soft_tpm import Maker


@pytest.mark.skipif(not any(map(os.path.exists, SYSTEM_ROOTS)), reason="needs the public roots (ca-certificates)")
def test_this_system_has_roots_of_azure() -> None:
    names = {common_name(each) for each in CloudRoots({}, SystemDisk()).azure()}
    assert {"DigiCert Global Root G2", "Microsoft RSA Root Certificate Authority 2017"} <= names <= AZURE_ROOTS


def test_names() -> None:
    assert common_name(Maker().certificate) == "maker"

    class Nameless:
        subject = x509.Name([])

    assert common_name(Nameless()) == ""  # type: ignore[arg-type]
