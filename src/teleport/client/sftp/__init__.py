"""Copying files over SFTP: requests, single files, trees, and the names that a server may send."""
