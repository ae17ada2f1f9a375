"""BOT-*: machine identity on the machine, that is tbot."""

from teleport.base.catalogue import Page

PAGES = {
    "BOT-IDENTITY-NONE": Page(
        what="the bot has no identity yet",
        why="something asked for it before the bot had joined; this is a defect",
        fix="start again with -d and report the last lines",
    ),
    "BOT-IDENTITY-REPLY": Page(
        what="the certificates that came are not for the key that was asked for",
        why="the Auth Service, or what stands between, answered another request; nothing was stored",
        fix="the bot asks again by itself; if this stays, look at the log of the Auth Service",
    ),
    "BOT-KEYPAIR-STORAGE": Page(
        what='a key cannot be kept in "{storage}"',
        why="a bound key must survive the bot: it needs a folder of this machine",
        fix="give the folder that tbot will have as its storage, or make a static key: --static",
    ),
    "BOT-LOCKED": Page(
        what='bot "{bot}" is locked for another reason, and stays so',
        why="{who} has locked it; that its certificates were in two places is not the reason",
        fix="see the lock, and ask who made it: tctl get lock/{lock}; then: tctl rm lock/{lock}",
    ),
    "BOT-NO-SERVER": Page(
        what="the bot does not know where the cluster is",
        why="neither proxy_server nor auth_server is configured",
        fix="start tbot with --proxy-server=HOST:PORT, or write proxy_server into tbot.yaml",
    ),
    "BOT-NO-TOKEN": Page(
        what="no existing identity found on disk or join token configured",
        why="a bot that has no certificates yet needs a token to join the cluster with",
        fix="make a token with `tctl bots instances add NAME`, and give it with --token or in onboarding.token",
    ),
    "BOT-NOT-LOCKED": Page(
        what='nothing is to be recovered of bot "{bot}"',
        why="no lock is on it because of its certificates, and no instance of it waits to be replaced",
        fix="if its certificates have ended, make a token: tctl bots instances add {bot}",
    ),
    "BOT-NOT-ONCE": Page(
        what="the service {service} cannot be used with oneshot",
        why="it listens as long as the bot runs, and a bot that runs once ends when its files are written",
        fix="start tbot without --oneshot, or take the service out of the configuration",
    ),
    "BOT-ONESHOT": Page(
        what="{failed} of {services} services failed, the first is {service}: {problem}",
        why="with oneshot nothing is tried again; what succeeded has been written",
        fix="mend what the log says of each service, and start tbot again",
    ),
    "BOT-PROXY-FIND": Page(
        what='Get "https://{address}/webapi/find": {problem}',
        why="a proxy says at this address what it is, and there was no such answer",
        fix="check that {address} is the web address of a proxy, and that this machine reaches it",
    ),
    "BOT-PROXY-PING": Page(
        what="the proxy at {address} does not say what it is: {problem}",
        why="addresses for SSH come from the proxy, which cannot be asked",
        fix='let this machine reach the proxy; an identity output needs none with ssh_config: "off"',
    ),
    "BOT-STOLEN": Page(
        what='bot "{bot}" is not unlocked, because its certificates may be stolen: {evidence}',
        why="the certificates that only one machine should have were used in two places, or nobody can say where",
        fix="find out who is at the other address; change what the bot could reach; if it was your own doing (a "
        "copy, a move to another machine): tctl bots recover {bot} --force",
    ),
    "BOT-STORAGE-CORRUPT": Page(
        what="{file} in {storage} cannot be read as a part of the bot's identity",
        why="it was changed by hand, cut short by a broken disk, or written by another program",
        fix="make a token with `tctl bots instances add NAME` and start with it: the bot joins anew and writes every "
        "file again; do not put back a copy of the storage, which would lock the bot",
    ),
    "BOT-STORAGE-INCOMPLETE": Page(
        what="{file} is missing from {storage}, and other parts of the bot's identity are there",
        why="files were removed or copied by hand; the bot itself never leaves some of them",
        fix="make a token with `tctl bots instances add NAME` and start with it: the bot joins anew and writes every "
        "file again",
    ),
    "BOT-STORAGE-LOCKED": Page(
        what="another tbot, process {holder}, uses the storage {folder}",
        why="the certificates of a bot renew themselves: two programs with the same ones lock the bot out",
        fix="end that process (kill {holder}), or give this bot a storage of its own: --storage=/var/lib/teleport/NAME",
    ),
    "BOT-STORAGE-MIXED": Page(
        what="{file} in {storage} does not belong to the key that is there",
        why="files of two identities were mixed, by hand or by a backup that was put back in part",
        fix="make a token with `tctl bots instances add NAME` and start with it: the bot joins anew and writes every "
        "file again",
    ),
    "BOT-TASK": Page(
        what="{service} failed unexpectedly ({kind})",
        why="this is a defect of tbot",
        fix="look at the log, and report it",
    ),
    "BOT-USE-PROXY-ADDR": Page(
        what="TBOT_USE_PROXY_ADDR requires that a proxy address is set using --proxy-server or proxy_server",
        why="it says that the configured address of the proxy is used, and none is configured",
        fix="set proxy_server, or take the variable away",
    ),
}
