"""What services of a bot are given: certificates of nobody in particular, and a proxy that is nowhere."""

from __future__ import annotations

import datetime as dt

from teleport.api.messages import Authority
from teleport.bot.parts import Held, ProxyFacts
from teleport.model.identity import Identity

END = dt.datetime(2030, 1, 1, tzinfo=dt.UTC)
HOST_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ0Uw0ePuFFXBCpFxMQAsfBVgmf4HhDVs0OX2n0BdOPM"
LEAF_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIEWYRnNoW2xlU2hvdWxkTm90QmVLbm93bkhlcmVBdEFs"
PROXY = ProxyFacts(
    address="proxy.example.com:443", ssh_address="proxy.example.com:3023", tls_routing=True, upgrade=False, found={}
)
HELD = Held(
    key="", ssh_certificate="", tls_certificate="", valid_after=END, expires=END,
    identity=Identity(name="bot-example", cluster="example.com", kind="bot", expires=END),
    authorities=(
        Authority(cluster="example.com", type="host", ssh_keys=(HOST_KEY,)),
        Authority(cluster="example.com", type="user", ssh_keys=("ssh-ed25519 AAAAuser",)),
        Authority(cluster="leaf.example.org", type="host", ssh_keys=(LEAF_KEY,)),
    ),
)  # fmt: skip
