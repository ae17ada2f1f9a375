"""BOT-*: machine identity on the machine, that is tbot."""

from teleport.base.catalogue import Page

PAGES = {
    "BOT-CONFIG-CA": Page(
        what="{problem}",
        why="each of the two says which Auth Service the bot may believe, and they might say different things",
        fix="keep one of them; ca_pins alone is what `tctl bots add` prints",
    ),
    "BOT-CONFIG-DEPRECATED": Page(
        what="Deprecated config version (V1) detected: the file was read as version v2, and nothing was written back",
        why="version v1 of tbot.yaml has `destinations`, where v2 has `services`",
        fix="tbot migrate -c OLD -o NEW",
    ),
    "BOT-CONFIG-EMPTY": Page(
        what="{key} {problem}",
        why="without it the entry means nothing",
        fix="write a value, or remove the entry",
    ),
    "BOT-CONFIG-IDENTICAL": Page(
        what="Identical destinations used within config: {place}",
        why="{first} writes there too, and files of the same names would replace each other at every renewal",
        fix="give each entry, and storage, a destination of its own",
    ),
    "BOT-CONFIG-JOIN-METHOD": Page(
        what='unrecognized join method: "{method}"',
        why="bots join with one of: {known}",
        fix="write the join method that the token has: tctl get token/NAME",
    ),
    "BOT-CONFIG-LABELS": Page(
        what="--label-selector {text} is not understood: {problem}",
        why="labels are written as key=value, several with commas between them",
        fix="write --label-selector env=prod,team=web, say",
    ),
    "BOT-CONFIG-LINE": Page(
        what="{problems}",
        why="the command line, or it and the file together, say several things that cannot be",
        fix="correct each option and key named above",
    ),
    "BOT-CONFIG-LONG-TTL": Page(
        what="Requested certificate TTL exceeds the maximum TTL allowed and will likely be reduced by the Teleport "
        "server: {key}: {ttl}, at most {most}",
        why="the Auth Service gives bots no certificate that is longer valid",
        fix="write a shorter credential_ttl",
    ),
    "BOT-CONFIG-NAME": Page(
        what="the name {name} of a service cannot be used",
        why="names go into paths and logs: they have letters, digits, -, _ and +, at most 64 of them",
        fix="choose another name, or leave it out: one is then made of the type and the place in the list",
    ),
    "BOT-CONFIG-NO-PATH": Page(
        what="destination path must not be empty",
        why="a destination of the type directory is a folder, and nothing says which",
        fix="write `path: /opt/machine-id`, say",
    ),
    "BOT-CONFIG-NOT-A-MAP": Page(
        what="{source}: this is not a configuration file",
        why="tbot.yaml is one YAML document: a map of keys such as version, proxy_server and services",
        fix="make one to start from: tbot configure identity --destination=/opt/machine-id -o tbot.yaml",
    ),
    "BOT-CONFIG-NOT-LEGACY": Page(
        what="unrecognized service type ({type})",
        why="the types are: {known}",
        fix="tbot start -c FILE, or tbot start TYPE with one of these types",
    ),
    "BOT-CONFIG-OPTIONS": Page(
        what="{first} and {second} are mutually exclusive",
        why="they say the same thing in two ways",
        fix="keep one of them",
    ),
    "BOT-CONFIG-OUTPUTS": Page(
        what="the file has been detected as potentially v1, but has the v2 `{key}` field",
        why="a file without `version` is read as v1, which does not have that key",
        fix="write `version: v2` as its first line",
    ),
    "BOT-CONFIG-OWN-NAME": Page(
        what="the name {name} belongs to a service that every bot has",
        why="the health of both would stand under one name in /readyz and in heartbeats",
        fix="choose another name",
    ),
    "BOT-CONFIG-PROBLEMS": Page(
        what="failed parsing config file: {problems}",
        why="nothing of the file was used: a key that is not understood might be the one that matters",
        fix="correct each place named above; the keys are in docs/reference/tbot.md",
    ),
    "BOT-CONFIG-READER": Page(
        what="a reader must be one user or one group",
        why="each entry of `readers` says either `user` or `group`, by name or number, and not both",
        fix="write `- user: alice` or `- group: ops`",
    ),
    "BOT-CONFIG-READERS": Page(
        what="--reader-user and --reader-group are only compatible with file destinations",
        why="they become access control lists of a directory",
        fix="leave them out, or use --destination=/a/directory",
    ),
    "BOT-CONFIG-SAME-NAME": Page(
        what="two services have the name {name}",
        why="the health of both would stand under one name in /readyz and in heartbeats",
        fix="give one of them another `name`",
    ),
    "BOT-CONFIG-SELECTOR": Page(
        what="a selector must have a name or labels: {problem}",
        why="a selector means either one Kubernetes cluster by its name, or all with the labels",
        fix="write `- name: CLUSTER` or `- labels: {{env: prod}}`",
    ),
    "BOT-CONFIG-SHORT-TTL": Page(
        what="The certificate TTL is shorter than the renewal interval. This is likely an invalid configuration: "
        "{key}: {ttl}, and renewal only every {interval}",
        why="certificates would end before new ones are there",
        fix="make credential_ttl at least twice as long as renewal_interval",
    ),
    "BOT-CONFIG-TWICE": Page(
        what="both {key} and {older} are set",
        why="they are the newer and the older name of the same setting, and might say different things",
        fix="keep {key} alone",
    ),
    "BOT-CONFIG-TWO-SECRETS": Page(
        what="both registration_secret and registration_secret_path are set",
        why="the registration secret is either in the file or in another one",
        fix="keep registration_secret_path alone, so that tbot.yaml holds no secret",
    ),
    "BOT-CONFIG-TWO-SERVERS": Page(
        what="both auth_server and proxy_server are set",
        why="a bot reaches the Auth Service either directly or through a proxy",
        fix="keep proxy_server, unless the machine can reach the Auth Service directly",
    ),
    "BOT-CONFIG-TYPE": Page(
        what="unrecognized {what} type ({type})",
        why="the types are: {known}",
        fix="use one of them",
    ),
    "BOT-CONFIG-V1-CLUSTER": Page(
        what="cluster cannot be kept for a destination of the type {kind}",
        why="in v2 only the type identity has the key `cluster`",
        fix="remove `cluster`, or make a bot in that cluster",
    ),
    "BOT-CONFIG-V1-DESTINATION": Page(
        what="a destination needs either directory or memory",
        why="files go to one place, and nothing else says which",
        fix="write `directory: /opt/machine-id`, say",
    ),
    "BOT-CONFIG-V1-FORMATS": Page(
        what="a database destination has several formats: {formats}",
        why="in v2 a database output has one format",
        fix="make an entry for each format, with a directory of its own",
    ),
    "BOT-CONFIG-V1-SETTING": Page(
        what="{key} has no equivalent in version v2",
        why="in v2 the names of files are fixed",
        fix="remove the setting, and use the names that docs/guides/tbot.md lists",
    ),
    "BOT-CONFIG-V1-SEVERAL": Page(
        what="multiple potential output types detected, cannot determine correct type",
        why="in v1 one destination could be for several things, here: {kinds}; in v2 an entry has one type",
        fix="make an entry for each, with a directory of its own",
    ),
    "BOT-CONFIG-V1-TEMPLATE": Page(
        what="unknown template {template}",
        why="the templates of v1 are: {known}",
        fix="correct or remove it",
    ),
    "BOT-CONFIG-VERSION": Page(
        what='unrecognized config version "{version}"',
        why="tbot.yaml has the versions v1 and v2",
        fix="write `version: v2`",
    ),
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
    "BOT-DESTINATION-HOST": Page(
        what="file-backed data storage must be on the local host",
        why="file://{host}/... names another machine; a path of this one has three slashes",
        fix="write file:///opt/machine-id, or the path alone",
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
    "BOT-DESTINATION-SCHEME": Page(
        what="unrecognized data storage scheme",
        why="{text} is none of: /a/path, file:///a/path, memory://, kubernetes-secret://[namespace/]name",
        fix="use one of these forms",
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
    "BOT-KUBE-CONTEXT": Page(
        what="two Kubernetes clusters would have the context {name!r}: {first} and {second}",
        why="`context_name_template` gives both the same name, and kubectl knows clusters by the name of their context",
        fix="write a template that has {{{{.KubeName}}}} in it, or select fewer clusters",
    ),
    "BOT-KUBE-EXPIRED": Page(
        what="the certificates in {folder} ended at {until}",
        why="tbot has not renewed them: it is not running, or cannot reach the cluster",
        fix="look at tbot's log; `pkill -sigusr1 tbot` makes a running one renew at once",
    ),
    "BOT-KUBE-MANY": Page(
        what="the selectors mean {number} Kubernetes clusters",
        why="a kubeconfig has at most {most} of them",
        fix="select fewer clusters, or divide them over several outputs",
    ),
    "BOT-KUBE-NO-FOLDER": Page(
        what="Destination {destination} must be a directory in exec plugin mode",
        why="kubectl is to ask tbot for certificates, and tbot reads them in the folder of the output: here is none",
        fix="write `disable_exec_plugin: true` in this output: then the certificate stands in the kubeconfig itself",
    ),
    "BOT-KUBE-NONE": Page(
        what="no Kubernetes cluster matches the selectors: {selectors}",
        why="there is none, or the roles of the bot do not show it: they need `kubernetes_labels`, and a rule for the "
        "resources kube_server and kube_cluster with the verbs read and list",
        fix="tctl get kube_cluster shows which there are; tctl bots update BOT --add-roles=ROLE adds a role",
    ),
    "BOT-KUBE-TEMPLATE": Page(
        what="the template {template!r} of context names is not understood",
        why="known are {{{{.ClusterName}}}}, {{{{.KubeName}}}}, {{{{.Labels.NAME}}}} and {{{{index .Labels 'NAME'}}}}",
        fix="write `context_name_template` with these alone",
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
    "BOT-LOCKED": Page(
        what='bot "{bot}" is locked for another reason, and stays so',
        why="{who} has locked it; that its certificates were in two places is not the reason",
        fix="see the lock, and ask who made it: tctl get lock/{lock}; then: tctl rm lock/{lock}",
    ),
    "BOT-MUX-TARGET": Page(
        what="a client of the multiplexer does not say where it wants to go: {problem}",
        why="a connection to v1.sock begins with host:port and a NUL byte, within ten seconds",
        fix="use the ssh_config beside the socket, or tbot ssh-multiplexer-proxy-command SOCKET HOST:PORT",
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
    "BOT-NOT-READY": Page(
        what="the bot has no certificates for this yet",
        why="its first renewal has not ended, or failed",
        fix="try again in a moment; `tbot wait` tells when it is ready, and its log why it is not",
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
    "BOT-PROXY-TEMPLATES": Page(
        what="proxy_templates_path {path} is not acted on",
        why="this build knows no templates; names of nodes reach the proxy as they were typed",
        fix="leave proxy_templates_path out",
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
    "BOT-SOCKET": Page(
        what="no socket can be made at {path}: {problem}",
        why="the multiplexer serves its clients on sockets in its destination",
        fix="see that the folder is on a local file system, and that the bot may write there",
    ),
    "BOT-SOCKET-TAKEN": Page(
        what="somebody serves {path} already",
        why="two bots must not share a destination",
        fix="stop the other one, or give each its own destination",
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
        why="{path} lets more people in than the bot: whoever copies what is in it can take the bot's place",
        fix="chmod {mode} {path}; who has to use certificates of the bot gets an output of their own",
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
    "BOT-UNIT-EXISTS": Page(
        what="{path} exists and says something else",
        why="it may have been changed by hand, and is not replaced unless you say so",
        fix="compare it with `tbot install systemd`, then add --force",
    ),
    "BOT-UNIT-NAME": Page(
        what="{option}: {word} cannot stand in a unit of systemd",
        why="names of units, users and groups have letters, digits, and a few signs that mean nothing to systemd",
        fix="use another name",
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
    "BOT-WAIT": Page(
        what="the bot at {address} is not ready after {limit}: {problem}",
        why="it has to run, with this diag_addr, and its services have to succeed",
        fix="look at its log; with `tbot start --diag-addr={address}` it answers there",
    ),
    "BOT-WAIT-ANSWER": Page(
        what="what answers at {address} is not a tbot",
        why="its answer to /readyz has no state of services",
        fix="use the bot's diag_addr: it stands in tbot.yaml, or behind `tbot start --diag-addr`",
    ),
    "BOT-WAIT-SERVICE": Page(
        what="the bot has no service {service}",
        why="its services are: {known}",
        fix="use one of these names; in tbot.yaml an entry of services has the key `name`",
    ),
}
