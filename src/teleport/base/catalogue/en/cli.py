"""CLI-*: command lines and what commands do on this machine."""

from teleport.base.catalogue import Page

PAGES = {
    "CLI-JOIN-METHOD": Page(
        what="the join method {method!r} is not there",
        why="servers join with the method `token` in this build",
        fix="leave --join-method out, and make a token: tctl tokens add --type=node",
    ),
    "CLI-JOIN-HOST-KEY": Page(
        what="sshd has no host key that can be certified",
        why="of {keys} none is Ed25519 or ECDSA P-256",
        fix="make one with `ssh-keygen -A`, and take other HostKey lines out of {config}",
    ),
    "CLI-JOIN-SSHD": Page(
        what="sshd does not accept its configuration: {problem}",
        why="`{command}` failed; {config} is as it was",
        fix="mend what it names; sshd older than OpenSSH 8.2 is set up by hand (docs/guides/openssh.md)",
    ),
    "CLI-JOIN-RESTART": Page(
        what="the server has joined, and sshd was not restarted: {problem}",
        why="`{command}` failed; until sshd reads its configuration again it lets nobody in from the proxy",
        fix="restart sshd, or give its command with --restart-command",
    ),
    "CLI-INTERNAL": Page(
        what="unexpected condition: {kind}: {problem}",
        why="a defect of this program, or something in its surroundings that it did not expect",
        fix="run it again with --debug and report what it prints",
    ),
    "CLI-USAGE": Page(
        what="{problem}",
        why="the command line has something that the command does not take, or lacks something that it needs",
        fix="run `{command} --help`",
    ),
    "CLI-UNKNOWN-COMMAND": Page(
        what="{program} has no command {wanted!r}{hint}",
        fix="run `{program} help` for the list of commands",
    ),
    "CLI-SESSION-KIND": Page(
        what="there is no kind of session {kind!r}",
        why="the kinds are: {known}",
        fix="name one of them: --kind ssh",
    ),
    "CLI-GROUP": Page(
        what="{group!r} needs another word",
        why="the commands are: {known}",
        fix="run `{program} help` for what they do",
    ),
    "CLI-NO-COMMAND": Page(
        what="cannot understand {given!r}",
        why="a command word must follow the options",
        fix="run `{program} help` for the list of commands",
    ),
    "CLI-UNKNOWN-CODE": Page(
        what="no error has the code {wanted!r}{hint}",
        why="codes are printed in the second line of an error report, after `code:`",
        fix="copy the code from the report",
    ),
    "CLI-NO-CLUSTER": Page(
        what="no way to a cluster from here",
        why="this machine runs no Auth Service whose admin socket could be used, and there is no valid sign-in",
        fix="run it on the auth host, with -c for its configuration, or sign in with `tsh login --proxy=...`",
    ),
    "CLI-ADMIN-SOCKET": Page(
        what="cannot use the admin socket {path}: {problem}",
        why="it is there while the Auth Service runs, and only for its user and root",
        fix="start the Auth Service, or run the command as its user; elsewhere sign in with `tsh login`",
    ),
    "CLI-AUDIT-COPIES": Page(
        what="{file} has no checkpoint that can be read: {problem}",
        why="a copy is what `tctl audit head --format=json` prints, or an `Audit checkpoint` line of the server's log",
        fix="give the file as it was written; - reads standard input",
    ),
    "CLI-AUDIT-FOLDER": Page(
        what="the audit log is not exported to {path}: {problem}",
        why="files of another export beside these would be taken for a part of it",
        fix="name a folder that does not exist yet, or an empty one",
    ),
    "CLI-AUDIT-BROKEN": Page(
        what="the chain of the audit log is broken: {logs}",
        why="a record was changed, removed or put in after it was written, or the disk lost some",
        fix="keep a copy of the store, compare it with a backup, and find out who could write to the disk",
    ),
    "CLI-NO-FILE": Page(
        what="open {path}: no such file or directory",
        why="the documents to create are read from that file",
        fix="check the name, or use - to read from standard input",
    ),
    "CLI-FILE": Page(
        what="cannot read {path}: {problem}",
        why="the file must be readable UTF-8 text",
        fix="check its permissions and its encoding, for example with `file {path}`",
    ),
    "CLI-CREATE-KIND": Page(
        what='creating resources of type "{kind}" is not supported',
        why="the cluster makes these itself",
        fix="run `tctl api-resources` to see what can be done with each kind",
    ),
    "CLI-EDIT-KIND": Page(
        what='editing resources of type "{kind}" is not supported',
        why="the cluster keeps these itself",
        fix="run `tctl api-resources` to see what can be done with each kind",
    ),
    "CLI-RM-KIND": Page(
        what='deleting resources of type "{kind}" is not supported',
        why="the cluster needs them",
        fix="run `tctl api-resources` to see what can be done with each kind",
    ),
    "CLI-RM-NAME": Page(
        what="a resource to remove is named type/name",
        why="all resources of a kind are never removed at once",
        fix="run `tctl rm {kind}/NAME`; `tctl get {kind}` shows the names",
    ),
    "CLI-EDIT-ONE": Page(
        what="exactly one resource can be edited at a time",
        why="the argument names none or several, or the edited text holds more or less than one document",
        fix="name it as type/name, for example `tctl edit role/access`",
    ),
    "CLI-EDIT-RENAME": Page(
        what="the name or kind of {kind}/{name} was changed in the editor",
        why="an edit keeps both; another name is another resource",
        fix="leave kind, name and sub_kind as they are, or use `tctl create` and `tctl rm`",
    ),
    "CLI-EDITOR": Page(
        what="the editor {editor!r} ended with status {status}",
        why="nothing was changed, because the editor did not end well",
        fix="set TELEPORT_EDITOR, VISUAL or EDITOR to an editor that works here",
    ),
    "CLI-MIXED-KINDS": Page(
        what="mixed resource types only support YAML formatting",
        why="a table has the columns of one kind, and programs read a JSON array of one shape",
        fix="leave --format out, or name one kind",
    ),
    "CLI-LOCK-TIMES": Page(
        what="use only one of --expires and --ttl",
        why="both say when the lock ends",
        fix="leave one of them out; with neither, the lock stays until it is removed",
    ),
    "CLI-SIGN-WHO": Page(
        what="--user or --host must be specified",
        why="certificates name exactly one user, or one host",
        fix="give one of them, for example: tctl auth sign --user=deploy --out=deploy.identity",
    ),
    "CLI-SIGN-DATABASE": Page(
        what="certificates in the form {format} are for a database, and none is named",
        why="they say under which names the database is reached; people and bots get theirs from outputs of tbot",
        fix="name it: tctl auth sign --format={format} --host=db.example.com --out=server",
    ),
    "CLI-SIGN-FORMAT": Page(
        what="the format {format!r} is not supported yet",
        why="this build has no access to what the format is for",
        fix="use one of: {known}",
    ),
    "CLI-SIGN-EXISTS": Page(
        what="{path} exists already and is not overwritten",
        why="it may hold a key that is still in use",
        fix="choose another name with --out, or add --overwrite",
    ),
    "CLI-EXPORT-KEYS": Page(
        what="private keys of authorities cannot be exported",
        why="they are in the signer process, which signs and never gives them away",
        fix="back up the whole cluster with `teleport backup`; leave --keys out for the public half",
    ),
    "CLI-EXPORT-NONE": Page(
        what="there is nothing to export for {type} with the fingerprint {fingerprint}",
        why="the cluster has no such authority yet, or no key of it has that fingerprint",
        fix="see which there are: tctl get cas",
    ),
    "CLI-TOKEN-EXISTS": Page(
        what='failed to create token ("{token}" already exists), please use another name',
        why="a token is its own name, and names are taken once",
        fix="leave --value out for a random token, or remove the other first: tctl tokens rm",
    ),
    "CLI-BOT-OPTIONS": Page(
        what="--set-{what} and --add-{what} contradict each other",
        why="the one says what there shall be, the other what shall be added",
        fix="use one of them",
    ),
    "CLI-BOT-TOKEN": Page(
        what='token {token} is not one for bot "{bot}"',
        why="a token for bots names the bot that joins with it",
        fix="leave --token out for a new one, or name the token of this bot",
    ),
    "CLI-BOT-INSTANCE": Page(
        what="invalid bot instance syntax, must be: [bot name]/[uuid]",
        why="{instance!r} does not name a bot and one of its instances",
        fix="see the column ID of: tctl bots instances list",
    ),
    "CLI-BOT-INSTANCE-OTHER": Page(
        what='instance {instance} is one of bot "{bot}"',
        why="another bot was named",
        fix="tctl bots instances show {bot}/{instance}",
    ),
    "CLI-OTHER-OWNER": Page(
        what='there is no {kind} "{name}" of "{owner}"',
        why="there is one of that name, and it belongs to another",
        fix="see which there are: tctl get {kind}/{owner}",
    ),
    "CLI-TOKEN-TTL": Page(
        what="a token cannot be valid for {ttl}",
        why="it would be over before a host could use it",
        fix="give a length such as --ttl=30m",
    ),
    "CLI-COMPLETION": Page(
        what="completion needs the name of a shell, not {given}",
        why="each shell reads a script of its own: bash, zsh or fish",
        fix="for bash: source <({program} completion bash)",
    ),
    "CLI-BINARY": Page(
        what="standard output is a terminal, and what would be written is not text",
        why="a compressed archive on a terminal helps nobody and may upset the terminal",
        fix="send it into a file: {command} > {example}",
    ),
    "CLI-CONFIG-OUTPUT-TEST": Page(
        what="--output and --test cannot be used together",
        why="one writes a new configuration, the other checks one that exists",
        fix="leave one of them out",
    ),
    "CLI-CONFIG-PAIR": Page(
        what="{options} go together",
        why="one without the other says nothing",
        fix="give both, or neither",
    ),
    "CLI-DOCTOR-TARGET": Page(
        what="it is not said what to look at",
        why="{source} names neither a proxy nor an Auth Service to join: the services of this machine need none",
        fix="name one with --proxy or --auth-server",
    ),
    "CLI-UNIT-PATH": Page(
        what="{option}: {path!r} cannot stand in a unit",
        why="a unit and the shell in it read spaces, quotes, % and $ as something else, and need the whole path",
        fix="give an absolute path of letters, digits and /_.@:+,=-",
    ),
    "CLI-CONFIG-ONE-SERVER": Page(
        what="--auth-server and --proxy cannot be used together",
        why="a host joins either at an Auth Service or through a proxy",
        fix="use --proxy unless the host can reach the Auth Service directly",
    ),
    "CLI-CONFIG-ROLE": Page(
        what="unknown role {role!r}",
        why="the roles of a configuration are: {known}",
        fix="name some of them, separated by commas",
    ),
    "CLI-CONFIG-EXISTS": Page(
        what="{path} exists already and is not overwritten",
        why="it may be the configuration of a running server",
        fix="choose another path with -o, or move the file away first",
    ),
}
