"""tpm identify, of teleport and tbot: what a token of the join method tpm says of this machine."""

from __future__ import annotations

import asyncio
import os

import click

from teleport.cli.common import format_option, show


@click.command("tpm identify")
@format_option
def identify(output_format: str) -> None:
    """Show which TPM this machine has, for spec.tpm.allow of a token.

    Nothing is changed in it. Root and the group tss may use it; TELEPORT_TPM names another device or Unix socket.

    \b
    teleport tpm identify
    teleport tpm identify --format yaml
    """
    from teleport.client.joining.tpm import VARIABLE, Endorsement
    from teleport.client.joining.tpm import identify as ask
    from teleport.net.tpm_device import DEVICE, TpmDevice

    async def work() -> Endorsement:
        async with TpmDevice(os.environ.get(VARIABLE) or DEVICE) as chip:
            return await ask(chip)

    found = asyncio.run(work())
    facts = {"ek_public_hash": found.key_hash, "ek_certificate_serial": found.serial}
    if output_format == "text":
        click.echo("TPM Information")
        click.echo(f"EK Public Hash: {found.key_hash}")
        click.echo(f"EK Certificate Detected: {str(bool(found.certificate)).lower()}")
        if found.serial:
            click.echo(f"EK Certificate Serial: {found.serial}")
    else:
        show(facts, output_format)
