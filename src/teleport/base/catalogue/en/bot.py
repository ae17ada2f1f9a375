"""BOT-*: machine identity on the machine, that is tbot."""

from teleport.base.catalogue import Page

PAGES = {
    "BOT-DIR-COPIED": Page(
        what="the storage {path} was last used on another machine",
        why="it was copied or moved here from {host}: two machines that renew one identity are taken for a theft and "
        "get locked",
        fix="if tbot still runs on {host}, give this machine an instance of its own: tctl bots instances add NAME, an "
        "empty storage, and the new token; after a move for good nothing is to be done",
    ),
    "BOT-DIR-NFS": Page(
        what="the storage {path} is on a network file system ({kind})",
        why="other machines can use the same folder; two bots with one identity are taken for a theft and get locked",
        fix="put storage on a disk of this machine, for example /var/lib/teleport/bot, and share only destinations",
    ),
    "BOT-DIR-SHARED": Page(
        what="the storage {path} is in use by another tbot: process {holder} of {where}",
        why="one identity has one owner: two that renew it are taken for a theft and get locked",
        fix="stop the other tbot, or give this one a storage of its own: `storage: {{type: directory, path: ...}}`",
    ),
    "BOT-GEN-MISMATCH": Page(
        what="the bot is locked: its certificates were used in two places",
        why="two programs with one storage renew the same certificates in turn, which looks like a theft",
        fix="first let only one program use the storage, then: tctl bots recover {bot} (it removes lock/{lock} and "
        "makes a new token), and start tbot with the new token",
    ),
    "BOT-IDENT-EXPIRED": Page(
        what="the bot's identity has ended, and its token was used up",
        why="tbot did not run, or did not reach the cluster, for longer than certificates last; a secret token is good "
        "for one join",
        fix="make a new token: tctl bots instances add {bot}; start tbot with it: it sees that it is a new one. A join "
        "method without a secret (machine-id reference, onboarding) joins again by itself",
    ),
    "BOT-IDENT-REJOIN": Page(
        what="the bot's identity has ended",
        why="tbot did not run, or did not reach the cluster, for longer than certificates last",
        fix="start tbot: with its join method it joins again by itself",
    ),
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
        fix="if its certificates have ended, or the token of its recovery is not good any more, make a new one: tctl "
        "bots instances add {bot}",
    ),
    "BOT-NOT-ONCE": Page(
        what="the service {service} cannot be used with oneshot",
        why="it listens as long as the bot runs, and a bot that runs once ends when its files are written",
        fix="start tbot without --oneshot, or take the service out of the configuration",
    ),
    "BOT-ONBOARD-IGNORED": Page(
        what="tbot runs with an identity that does not come from the configured token",
        why="the token is looked at when tbot starts: process {pid} started before the token was changed",
        fix="restart tbot: it sees the new token, puts the former identity away and joins",
    ),
    "BOT-ONESHOT": Page(
        what="{failed} of {services} services failed, the first is {service}: {problem}",
        why="with oneshot nothing is tried again; what succeeded has been written",
        fix="mend what the log says of each service, and start tbot again",
    ),
    "BOT-OTHER-CLUSTER": Page(
        what="an output asks for certificates of the cluster {wanted}, and the bot is in {cluster}",
        why="certificates for leaf clusters are not supported yet; those of {cluster} would not be what was asked for",
        fix="leave out `cluster` (--cluster), or give a bot of {wanted} this output",
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
    "BOT-RECOVER-TOKEN": Page(
        what="this token is the one with which the bot has joined before",
        why="a secret token is good for one join",
        fix="ask an administrator for a new one: tctl bots recover NAME, or tctl bots instances add NAME",
    ),
    "BOT-ROLE-NOT-GRANTED": Page(
        what="an output asks for roles that the bot does not have",
        why="the bot was never given one of: {roles}",
        fix="tctl bots update {bot} --add-roles={roles}; or take the role out of `roles` of this output",
    ),
    "BOT-ROLE-SUBSET": Page(
        what="an output leaves out the role that it needs",
        why="`roles` of this output names only {roles}; the bot has a role more that allows this",
        fix="add that role to `roles` of the output, or take `roles` away: then it gets every role of the bot",
    ),
    "BOT-SAVE-CRASH": Page(
        what="the bot cannot save, or was stopped while it saved",
        why="the disk is full or broken, or {folder} cannot be written to; the next key of the bot is stored before "
        "it is asked for, so nothing is lost and nothing gets locked",
        fix="make room or mend the permissions of {folder}, then start tbot: it goes on where it was stopped",
    ),
    "BOT-STALE-CERT": Page(
        what="an output does not have yet what the roles say now",
        why="roles were changed after its certificates were made; they are renewed every 20 minutes unless told "
        "otherwise",
        fix="have everything renewed now: `pkill -sigusr1 tbot`",
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
    "BOT-STORAGE-MEMORY": Page(
        what="the bot keeps its identity in memory",
        why="it joins anew at each start, and a secret token is good for one join",
        fix="use a folder as storage, or a join method without a secret",
    ),
    "BOT-STORAGE-MIXED": Page(
        what="{file} in {storage} does not belong to the key that is there",
        why="files of two identities were mixed, by hand or by a backup that was put back in part",
        fix="make a token with `tctl bots instances add NAME` and start with it: the bot joins anew and writes every "
        "file again",
    ),
    "BOT-STORAGE-OPEN": Page(
        what="others may use the bot's own identity",
        why="{folder} lets more people in than the bot: whoever copies what is in it can take the bot's place",
        fix="{repair}; who has to use certificates of the bot gets an output of their own",
    ),
    "BOT-STORAGE-OUTPUT": Page(
        what="the certificates in {storage} are not the bot's own: they are for {name} with the roles {roles}",
        why="an output, of this bot or another one, was written over the storage; what it has cannot be renewed",
        fix="give every output a destination of its own, make a token with `tctl bots instances add NAME`, then: tbot "
        "recover --token=TOKEN (or start tbot with it): the bot joins anew and writes every file again. If the folder "
        "is meant for an output, choose another one as storage",
    ),
    "BOT-STORAGE-READ-ONLY": Page(
        what="the bot's storage cannot be written to",
        why="it belongs to another user, or the file system is read only: without storing the next key the bot does "
        "not renew",
        fix="run tbot as the owner of {folder}, or chown it; mount the file system writable",
    ),
    "BOT-TASK": Page(
        what="{service} failed unexpectedly ({kind})",
        why="this is a defect of tbot",
        fix="look at the log, and report it",
    ),
    "BOT-UNLOCK-INCOMPLETE": Page(
        what="the bot's certificates are not the last ones of their instance",
        why="a lock was removed and the bot goes on with what it had, or somebody else renews with a copy: the next "
        "renewal from here locks the bot (again)",
        fix="stop tbot, make a new token: tctl bots instances add {bot}, and start with it: the bot gets an instance "
        "of its own",
    ),
    "BOT-USE-PROXY-ADDR": Page(
        what="TBOT_USE_PROXY_ADDR requires that a proxy address is set using --proxy-server or proxy_server",
        why="it says that the configured address of the proxy is used, and none is configured",
        fix="set proxy_server, or take the variable away",
    ),
}
