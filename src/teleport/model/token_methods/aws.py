"""spec.allow: accounts and roles of AWS, for the join method iam."""

from __future__ import annotations

import re
from collections.abc import Sequence

from teleport.base.struct import Struct
from teleport.model.later import Unacted
from teleport.model.token_methods.rules import check_rules, demand

_ACCOUNT = re.compile(r"[0-9]{12}")


class AwsRule(Struct, frozen=True, kw_only=True):
    """Who may join."""

    aws_account: str = ""
    aws_role: str = ""
    aws_regions: tuple[str, ...] = ()
    """These two are for ec2; with iam they are refused."""
    aws_arn: str = ""
    """Who the machine is; `*` is any run of characters, `?` any single one."""
    aws_organization_id: Unacted = None


def check_iam(rules: Sequence[AwsRule]) -> None:
    """Raise BadParameter (KIND-TOKEN-BLOCK) for rules that iam has not."""
    check_rules("iam", rules, ("aws_account", "aws_arn"))
    for index, rule in enumerate(rules):
        for word in ("aws_role", "aws_regions"):
            problem = f'allow[{index}]: "{word}" cannot be set for the iam join method'
            demand(not getattr(rule, word), "iam", problem)
        known = not rule.aws_account or _ACCOUNT.fullmatch(rule.aws_account)
        demand(known, "iam", f'allow[{index}]: "aws_account" is a number of twelve digits, in quotes')
