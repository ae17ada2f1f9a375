"""BOT-*: machine identity on the machine, that is tbot."""

from teleport.base.catalogue import Page

PAGES = {
    "BOT-DESTINATION-ACLS": Page(
        what="{path} cannot have access lists: {problem}",
        why="readers of a destination beside tbot are let in by access lists of its files",
        fix="put the destination on a file system with access lists (ext4, xfs, tmpfs), or leave out readers and "
        "`acls: required`",
    ),
    "BOT-DESTINATION-ACLS-OFF": Page(
        what="readers of {path} are listed, and acls is off",
        why="readers are let in by access lists, and nothing else here would let them read",
        fix="leave out `acls: off`, or leave out readers",
    ),
    "BOT-DESTINATION-DENIED": Page(
        what="no access to {path}: {problem}",
        why="the user with number {user}, as whom tbot runs, may not use this folder or make it",
        fix="ensure that tbot runs as the right user, or give it the folder: sudo tbot init "
        "--destination-dir={path} --bot-user=USER",
    ),
    "BOT-DESTINATION-EXCHANGED": Page(
        what="{path} was exchanged for another folder while it was made",
        why="somebody who may write to the folder above put one of theirs in its place",
        fix="look at `ls -ld {path}`, and choose a folder below one that only root may write to",
    ),
    "BOT-DESTINATION-LINK": Page(
        what="{path} is a symbolic link",
        why="keys are not written or read through links, because who controls the link chooses where the key goes",
        fix="name the place that it points to (`readlink -f {path}` shows it), or say `symlinks: insecure` where "
        "nobody else can change the link",
    ),
    "BOT-DESTINATION-MISSING": Page(
        what="the destination {path} does not exist",
        why="it was there when tbot started, or never made",
        fix="restart tbot, which makes it; if it is a mount, mount it first",
    ),
    "BOT-DESTINATION-NAME": Page(
        what="the file name {name!r} cannot be used",
        why="files of a destination stand in its folder or one below it",
        fix="tell the administrator of the cluster: a name from there (of a cluster, say) has a slash or is empty",
    ),
    "BOT-DESTINATION-NOT-FILE": Page(
        what="{path} is not a regular file",
        why="a folder, a pipe or a device stands where tbot keeps a file",
        fix="move it away: mv {path} {path}.old",
    ),
    "BOT-DESTINATION-NOT-FOLDER": Page(
        what='Path "{path}" already exists and is not a directory',
        why="a destination of the type directory is a folder",
        fix="move the file away, or choose another path",
    ),
    "BOT-DESTINATION-OPEN": Page(
        what="everybody may write to {path} (mode {mode})",
        why="anybody on this machine could replace the keys there, and the commands that ssh_config runs",
        fix="chmod o-w {path}",
    ),
    "BOT-DESTINATION-READER": Page(
        what="there is no {what} {name} to read the destination",
        why="readers are users and groups of this machine, by name or number",
        fix="check the name with `getent passwd` and `getent group`",
    ),
    "BOT-DESTINATION-SYMLINKS": Page(
        what='symlink mode "secure" not supported on this system',
        why="this system cannot open a file relative to an open folder",
        fix="use `symlinks: try-secure`, and a folder below one that only root may write to",
    ),
    "BOT-DESTINATION-WRITE": Page(
        what="Cannot write to destination {destination}, aborting.",
        why="{problem}: {cause}",
        fix="{fix}",
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
    "BOT-KUBERNETES-CONFLICT": Page(
        what="the Secret {name} was changed by somebody else {attempts} times while it was to be written",
        why="a Secret has one writer; another tbot, or an operator, writes to this one all the time",
        fix="find it with `kubectl get secret {name} -o yaml --show-managed-fields`, and give each tbot a Secret of "
        "its own (of a Deployment: `strategy: {{type: Recreate}}`)",
    ),
    "BOT-KUBERNETES-CREDENTIALS": Page(
        what="the API server {server} does not know who tbot is",
        why="the token or the client certificate has expired, or is for another cluster",
        fix="renew the credentials in the kubeconfig, or look whether the pod has its service account's token mounted",
    ),
    "BOT-KUBERNETES-DENIED": Page(
        what="no access to the destination {destination}: {problem}",
        why="whoever tbot is there needs to get, create and update this Secret",
        fix="kubectl create role tbot-{name} -n {space} --verb=get,create,update --resource=secrets, and bind it: "
        "kubectl create rolebinding tbot-{name} -n {space} --role=tbot-{name} --serviceaccount={space}:NAME; as YAML: "
        'rules: [{{apiGroups: [""], resources: [secrets], verbs: [create]}}, {{apiGroups: [""], resources: [secrets], '
        "resourceNames: [{name}], verbs: [get, update]}}]",
    ),
    "BOT-KUBERNETES-KEY": Page(
        what="the file {name!r} cannot be a key of a Secret",
        why="keys have letters, digits, -, _ and ., a folder's slash becomes a dot, and no two files may share a key",
        fix="use a destination of the type directory for this output",
    ),
    "BOT-KUBERNETES-KUBECONFIG": Page(
        what="the kubeconfig {path} cannot be used: {problem}",
        why="it must say which API server to ask, whom to believe there, and as whom to ask",
        fix="look at it with `kubectl config view --kubeconfig={path} --minify`, or choose another context with "
        "kubeconfig_context",
    ),
    "BOT-KUBERNETES-NAMESPACE": Page(
        what="no namespace {space} for the destination {destination}",
        why="a Secret is made when it is missing, the namespace that it is in is not",
        fix="kubectl create namespace {space}, or correct `namespace`",
    ),
    "BOT-KUBERNETES-NO-NAMESPACE": Page(
        what="the destination {destination} is in no namespace",
        why="neither `namespace` nor POD_NAMESPACE nor the context of the kubeconfig names one",
        fix="write `namespace: NAME`, or set POD_NAMESPACE from metadata.namespace in the pod's manifest",
    ),
    "BOT-KUBERNETES-NOWHERE": Page(
        what="no API server of Kubernetes to ask",
        why="tbot does not run in a pod, and neither kubeconfig_path nor KUBECONFIG names a file",
        fix="write `kubeconfig_path: /path/to/kubeconfig` for the destination",
    ),
    "BOT-KUBERNETES-REFUSED": Page(
        what="the API server refuses the destination {destination} ({status}): {problem}",
        why="it does not take the Secret as it would be written",
        fix="correct what it names; a Secret that is `immutable: true` must be deleted first",
    ),
    "BOT-KUBERNETES-UNREACHABLE": Page(
        what="the API server {server} cannot be asked: {problem}",
        why="it does not answer, answers with an error of its own, or is not whom its certificate should name",
        fix="try `kubectl get --raw /readyz` from the same place with the same kubeconfig",
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
