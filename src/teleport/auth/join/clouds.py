"""Clouds: what the machine of the Auth Service knows of the clouds around it, for the join methods that need it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from teleport.auth.join import token_review
from teleport.auth.join.cloud_roots import CloudRoots
from teleport.auth.join.ec2_running import Find
from teleport.auth.join.token_review import Reviewer
from teleport.base.disk import Disk
from teleport.client.joining import iam
from teleport.net.fetch import SystemFetch


@dataclass(frozen=True, slots=True)
class Clouds:
    """Handed to the table of join methods."""

    roots: CloudRoots
    """Who signs for AWS and Azure."""
    credentials: Find
    """The credentials of AWS that this machine has."""
    reviewer: Reviewer | None = None
    """Asks the Kubernetes cluster in which the Auth Service runs, if in any."""


def of_environment(environment: Mapping[str, str], disk: Disk) -> Clouds:
    """Return what the environment of the process says."""
    return Clouds(
        CloudRoots(environment, disk), iam.credentials(environment, SystemFetch(plain=True)),
        token_review.of_environment(environment, disk),
    )  # fmt: skip
