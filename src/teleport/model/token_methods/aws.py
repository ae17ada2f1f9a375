"""spec.allow: accounts and roles of AWS, for the join methods iam and ec2."""

from __future__ import annotations

import re
from collections.abc import Sequence

from teleport.base.struct import Struct
from teleport.model.later import Unacted
from teleport.model.token_methods.rules import check_rules, demand

IID_TTL = 300.0
"""Seconds after the start of an instance in which it may join with ec2, where the token does not say."""
_ACCOUNT = re.compile(r"[0-9]{12}")
_ROLE = re.compile(r"arn:aws(-[a-z-]+)?:iam::[0-9]{12}:role/[\w+=,.@/-]{1,512}", re.ASCII)
_REGION = re.compile(r"[a-z]{2}(-[a-z]+)+-[0-9]")


class AwsRule(Struct, frozen=True, kw_only=True):
    """Who may join."""

    aws_account: str = ""
    aws_role: str = ""
    """ec2 alone: a role that the Auth Service takes on to ask whether the instance runs."""
    aws_regions: tuple[str, ...] = ()
    """ec2 alone; empty: any."""
    aws_arn: str = ""
    """Who the machine is; `*` is any run of characters, `?` any single one."""
    aws_organization_id: Unacted = None


def check_ec2(rules: Sequence[AwsRule]) -> None:
    """Raise BadParameter (KIND-TOKEN-BLOCK) for rules that ec2 has not."""
    check_rules("ec2", rules, ("aws_account", "aws_role"))
    for index, rule in enumerate(rules):
        demand(not rule.aws_arn, "ec2", f'allow[{index}]: "aws_arn" cannot be set for the ec2 join method')
        _check_account("ec2", index, rule)
        problem = f'allow[{index}]: "aws_role" is the ARN of a role: arn:aws:iam::123456789012:role/name'
        demand(not rule.aws_role or _ROLE.fullmatch(rule.aws_role), "ec2", problem)
        for region in rule.aws_regions:
            problem = f'allow[{index}]: "aws_regions" are names like eu-central-1'
            demand(_REGION.fullmatch(region), "ec2", problem)


def check_iam(rules: Sequence[AwsRule]) -> None:
    """Raise BadParameter (KIND-TOKEN-BLOCK) for rules that iam has not."""
    check_rules("iam", rules, ("aws_account", "aws_arn"))
    for index, rule in enumerate(rules):
        for word in ("aws_role", "aws_regions"):
            problem = f'allow[{index}]: "{word}" cannot be set for the iam join method'
            demand(not getattr(rule, word), "iam", problem)
        _check_account("iam", index, rule)


def _check_account(method: str, index: int, rule: AwsRule) -> None:
    known = not rule.aws_account or _ACCOUNT.fullmatch(rule.aws_account)
    demand(known, method, f'allow[{index}]: "aws_account" is a number of twelve digits, in quotes')
