"""CLOCK-*: machines that do not agree on the time."""

from teleport.base.catalogue import Page

PAGES = {
    "CLOCK-SKEW": Page(
        what="this machine and the proxy do not agree on the time",
        why="certificates seem not valid yet, or over, before they are",
        fix="let chrony or systemd-timesyncd set the clock: `timedatectl set-ntp true`",
    ),
}
