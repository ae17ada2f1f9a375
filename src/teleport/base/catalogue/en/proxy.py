"""PROXY-*: the proxy's listeners."""

from teleport.base.catalogue import Page

PAGES = {
    "PROXY-KEYPAIR": Page(
        what="{certificate} and {key} are not a certificate and its key",
        why="https_keypairs wants PEM files: the certificate chain in cert_file, the private key in key_file",
        fix="check that the two files were not swapped",
    ),
}
