"""CLIENT-*: the user's side of a connection."""

from teleport.base.catalogue import Page

PAGES = {
    "CLIENT-NO-CHECK": Page(
        what="there is no check {name!r}{hint}",
        why="known are: {known}",
        fix="name some of these with --only, or leave it out for all",
    ),
    "CLIENT-NOT-LOGGED-IN": Page(
        what="Not logged in.",
        why="no profile of a sign-in was found under ~/.tsh (or TELEPORT_HOME)",
        fix="tsh login --proxy=HOST --user=NAME",
    ),
    "CLIENT-NO-ACTIVE-PROFILE": Page(
        what="No active profile.",
        why="there are sign-ins at {proxies}, and none of them is the current one",
        fix="tsh login --proxy=HOST makes one the current one; --proxy=HOST chooses it for one command",
    ),
    "CLIENT-NO-PROXY": Page(
        what="no proxy was named, and no earlier sign-in is known",
        why="the first sign-in needs the address of the cluster's proxy",
        fix="tsh login --proxy=HOST --user=NAME, or set TELEPORT_PROXY",
    ),
    "CLIENT-NO-PASSWORD": Page(
        what="no password was given for {user}",
        why="it is asked for on the terminal, or read as the first line of standard input",
        fix="run the command in a terminal, or send the password on its standard input",
    ),
    "CLIENT-EXPIRED": Page(
        what="Active profile expired.",
        why="the certificates of {user} at {proxy} were valid until {until}",
        fix="tsh login --proxy={proxy} --user={user}",
    ),
    "CLIENT-IDENTITY": Page(
        what="{path} is no identity file of a user: {problem}",
        why="it holds, in this order: private key, SSH certificate, X.509 certificate, and who vouches for the cluster",
        fix="make a new one: tctl auth sign --user=NAME --format=file --out={path}",
    ),
    "CLIENT-IDENTITY-EXPIRED": Page(
        what="the identity in {path} has expired",
        why="its certificates, of {user}, were valid until {until}",
        fix="make a new one: tctl auth sign --user={user} --out={path} --overwrite",
    ),
    "CLIENT-OUTPUT-EXPIRED": Page(
        what="the identity in {path} has expired",
        why="its certificates, of {user}, were valid until {until}: tbot, which renews them, does not run or does not "
        "reach the cluster",
        fix="start tbot again where it is stopped (its log says why); what is wrong, finds: tbot doctor",
    ),
    "CLIENT-OUTPUT-DAMAGED": Page(
        what="{path} is no identity file of a user: {problem}",
        why="tbot has written it, and something else has changed it since",
        fix="have tbot write it again: `pkill -sigusr1 tbot`, or restart tbot; what is wrong, finds: tbot doctor",
    ),
    "CLIENT-IDENTITY-FOREIGN": Page(
        what="the identity in {path} cannot be used at {proxy}",
        why="it is of the cluster {cluster}, and one side did not prove to the other that it belongs there: {problem}",
        fix="name the proxy of {cluster} with --proxy, or use an identity of the cluster that {proxy} belongs to",
    ),
    "CLIENT-IDENTITY-PROXY": Page(
        what="no proxy was named to use the identity in {path} at",
        why="an identity file does not say where its cluster is",
        fix="add --proxy=HOST:PORT (tctl: --auth-server=HOST:PORT), or set TELEPORT_PROXY",
    ),
    "CLIENT-PROFILE": Page(
        what="the profile {path} cannot be read: {problem}",
        why="the file was changed by hand or written by another version",
        fix="remove it and sign in again: tsh login",
    ),
    "CLIENT-PROXY-NAME": Page(
        what="{proxy!r} cannot be the name of a proxy, cluster or user",
        why="it becomes part of a file name: {problem}",
        fix="use the host name of the proxy; an administrator can give the user another name",
    ),
    "CLIENT-ANSWER": Page(
        what="the answer of the proxy cannot be used: {problem}",
        why="the proxy is of another version, or something between changed its answer",
        fix="compare `tsh version` with the version of the cluster",
    ),
    "CLIENT-NO-CODE": Page(
        what="no code was typed",
        why="this cluster asks for the six digits of an authenticator app beside the password",
        fix="type what the app shows now; scripts send it as the second line of standard input, after the password",
    ),
    "CLIENT-FACTOR": Page(
        what="the cluster asks for a second factor that this program does not know: {kind}",
        why="this build signs in with a password and the code of an authenticator app",
        fix="compare `tsh version` with the version of the cluster",
    ),
    "CLIENT-WEB-CERT": Page(
        what="the certificate of {address} is not trusted: {problem}",
        why="it was not issued by an authority that this machine knows, or is for another name",
        fix="give the proxy a certificate of a public authority, or, on a first test, add --insecure",
    ),
    "CLIENT-NOT-TLS": Page(
        what="{address} does not speak TLS as a proxy does: {problem}",
        why="another program listens there, or a load balancer in between expects plain HTTP",
        fix="check the port: the proxy's web port is usually 443 or 3080",
    ),
    "CLIENT-UNREACHABLE": Page(
        what="cannot reach {address}: {problem}",
        why="the name does not resolve, nothing listens there, or a firewall drops the connection",
        fix="check the address, then `curl -v https://{address}/webapi/ping`",
    ),
    "CLIENT-NOT-A-PROXY": Page(
        what="{address} answered with HTTP status {status}, but not as a proxy of a cluster",
        why="another web server or a load balancer answered in its place",
        fix="check the address and what stands in front of the proxy",
    ),
    "CLIENT-NO-WAY": Page(
        what="the proxy at {address} offers no way to nodes",
        why="it is of another version, or a load balancer in between answers TLS in its place",
        fix="compare `tsh version` with the version of the cluster, and let the load balancer pass TLS on unopened",
    ),
    "CLIENT-BALANCER": Page(
        what="a load balancer ends TLS before the proxy at {address}, and this sign-in does not know it: {problem}",
        why="it was not there, or passed TLS on, when you signed in",
        fix="sign in again (`tsh logout`, then `tsh login --proxy={address}`), or set "
        "TELEPORT_TLS_ROUTING_CONN_UPGRADE=true",
    ),
    "CLIENT-TARGET": Page(
        what="{target!r} names no node",
        why="a target is host, login@host, login@host:port, or labels instead of a host: login@env=prod,role=db",
        fix="tsh ls shows the names of the nodes that you may reach",
    ),
    "CLIENT-HOST-KEY": Page(
        what="{host} did not prove that it is a node of the cluster: {problem}",
        why="its host key must have a certificate of the cluster's host authority for the name that was asked for",
        fix="use the name that `tsh ls` shows; if the cluster's authority was rotated, sign in again: tsh login",
    ),
    "CLIENT-NODE-REFUSED": Page(
        what="{host} refused: {said}",
        why="the node decides for itself, with the roles and locks of this moment",
        fix="if the text has an id, an administrator sees the reasons with `tctl access explain ID`",
    ),
    "CLIENT-SSH": Page(
        what="the connection to {host} failed: {problem}",
        why="the node or the proxy ended it, or the network did",
        fix="try again; if it stays, look at the log of the node for the same time",
    ),
    "CLIENT-RESUME-TIME": Page(
        what="the connection to {host} was lost, and not resumed within {seconds} seconds: {problem}",
        why="the network or the proxy was away for longer than a node keeps a session without its client",
        fix="connect again; what ran on the node has been told that its client is gone",
    ),
    "CLIENT-RESUME-REFUSED": Page(
        what="the connection to {host} was lost, and the node does not go on with it: {problem}",
        why="the node has started anew or ended the session, or the certificate is another one or no longer good there",
        fix="connect again; `tsh status` shows until when the certificate is good",
    ),
    "CLIENT-SSH-ENDED": Page(
        what="the other side ended the connection and said: {said}",
        why="an SSH server may end a connection at any time",
        fix="try again; if it stays, look at the log of the node for the same time",
    ),
    "CLIENT-HOLDER": Page(
        what="the process that held the connection to {host} has ended while the command ran",
        why="it was killed, or its user signed out; what the command has done on the node is not known here",
        fix="run it again; --no-holder gives a command a connection of its own",
    ),
    "CLIENT-SSH-OPTION": Page(
        what="the option {option!r} is not supported",
        why="tsh ssh knows User, Port and HostName, and what can only be switched off",
        fix="use stock ssh for other options: ssh -F <(tsh config)",
    ),
    "CLIENT-NO-MATCH": Page(
        what="no matching hosts found",
        why="none of the nodes that you may reach is or matches {host}",
        fix="tsh ls shows the names of the nodes that you may reach",
    ),
    "CLIENT-SEVERAL-MATCHES": Page(
        what="multiple matching hosts found",
        why="{host} is the name of {count} nodes: {names}",
        fix="name one by its id: tsh ls -v",
    ),
    "CLIENT-CAST": Page(
        what="line {line} of the file cannot be played: {problem}",
        why="it has to be a recording of asciicast version 2, or one that was downloaded with --format=frames",
        fix="fetch it again: tsh recordings download ID",
    ),
    "CLIENT-POSITION": Page(
        what="{value!r} is no position in a recording",
        why="a position is written 83, 83.5s, 1m23s, 1h2m3s or 1:02:03, counted from the beginning of the session",
        fix="for example: tsh play ID --from=1m23s",
    ),
    "CLIENT-LONG-RECORDING": Page(
        what="the recording {session} is larger than the {limit} bytes that are played",
        why="a recording is held in memory while it is played, so that one can jump in it",
        fix="let an administrator fetch the file: tctl recordings download {session}",
    ),
    "CLIENT-NO-RECORDING-FILE": Page(
        what="{name!r} is neither a file nor the id of a session",
        why="there is no such file here, and ids look like 0e8a6a1c-7a5c-4d0e-9d0e-3f6c2b1a0f5e",
        fix="tsh recordings ls shows the recordings that you may play",
    ),
    "CLIENT-NO-SERVER": Page(
        what="none of {count} servers could be reached: {attempts}",
        why="each of them was tried in its order, and none of them answered as a server of the cluster does",
        fix="check the addresses: those of Auth Services end in :3025, those of proxies usually in :443 or :3080",
    ),
    "CLIENT-COPY-PLACE": Page(
        what="{place} names no place to copy from or to",
        why="a place on a node is [LOGIN@]HOST:PATH; anything else is a path of this machine",
        fix="write HOST:PATH, or ./NAME for a file here whose name has a colon",
    ),
    "CLIENT-COPY-SIDES": Page(
        what="nothing can be copied from {source} to {target}",
        why="one side of a copy is this machine, the other a node",
        fix="tsh scp FILE HOST:PATH, or tsh scp HOST:PATH FILE; from node to node copy in two steps, and here use cp",
    ),
    "CLIENT-COPY-NAME": Page(
        what="the node has listed a file called '{name}', which was not copied",
        why="a name that is a path could put a file where you did not ask for one",
        fix="look at the folder with tsh ssh; if it has no such file, do not trust the node",
    ),
    "CLIENT-COPY-LOCAL": Page(
        what="{path} (here): {problem}",
        why="this machine refused it",
        fix="look at it with ls -ld, and at the space with df -h, and copy again",
    ),
    "CLIENT-COPY-REMOTE": Page(
        what="{path} (on the node): {said}",
        why="the node's file service did it with the rights of the login, and this was the answer",
        fix="look at it with tsh ssh LOGIN@HOST ls -ld PATH, use another login or path, and copy again",
    ),
    "CLIENT-COPY-LOST": Page(
        what="the connection ended before everything was copied",
        why="the network, the proxy or the node has ended it; a file that was under way is not under its name",
        fix="copy again; names on the node that end in .part are what was left, and can be removed",
    ),
    "CLIENT-COPY-INCOMPLETE": Page(
        what="{path} is incomplete: {problem}",
        why="it had to be written in its place, and the copy failed in the middle",
        fix="copy it again",
    ),
    "CLIENT-COPY-SHORT": Page(
        what="{path} (on the node) ended after {arrived} of {size} bytes",
        why="somebody has cut it while it was copied",
        fix="copy it again when nothing writes to it",
    ),
    "CLIENT-COPY-KIND": Page(
        what="{path} is neither a file nor a folder",
        why="devices, pipes and sockets have no contents that can be copied",
        fix="leave it out, or read it with a command: tsh ssh LOGIN@HOST cat PATH",
    ),
    "CLIENT-COPY-FOLDER": Page(
        what="{path} is a folder",
        why="folders are copied with all that is in them only when that is asked for",
        fix="add -r",
    ),
    "CLIENT-COPY-TARGET": Page(
        what="{path} is no folder",
        why="several files, or a name with a slash at its end, need a folder to be copied to",
        fix="make it first, or name a folder that exists",
    ),
    "CLIENT-COPY-DEEP": Page(
        what="{path} is in more than {limit} folders",
        why="links are followed, and one of them probably points at a folder that it is in",
        fix="remove the link, or pack the folder with tar",
    ),
    "CLIENT-COPY-MANY": Page(
        what="more than {limit} names fit {path}",
        why="they are copied one after the other, by name",
        fix="copy the folder with -r, or use a narrower pattern",
    ),
    "CLIENT-COPY-FAILED": Page(
        what="{count} of the files and folders were not copied",
        why="the lines above say which, and why",
        fix="mend what they name, and copy again",
    ),
    "CLIENT-NO-SFTP": Page(
        what="the program sftp was not found",
        why="tsh sftp is OpenSSH's sftp with the way to the node; it is not in your PATH",
        fix="install OpenSSH's client (Debian: apt-get install openssh-client), or copy with tsh scp",
    ),
    "CLIENT-AGENT": Page(
        what="the SSH agent cannot be used: {problem}",
        why="SSH_AUTH_SOCK names a socket where no agent answers as one",
        fix="`ssh-add -l` shows whether it works; start one with `eval $(ssh-agent)`, or unset SSH_AUTH_SOCK",
    ),
    "CLIENT-AMBIGUOUS": Page(
        what="ambiguous host could match multiple nodes: {host}",
        why="this is what {count} nodes are called, or have as labels: {nodes}",
        fix="name one by its id, for example: tsh ssh {first}; a command runs on all nodes with labels, a shell on one",
    ),
    "CLIENT-LOGIN": Page(
        what="ssh: handshake failed: ssh: unable to authenticate, attempted methods [none publickey], no supported "
        "methods remain",
        why="{login} is not among the logins of your certificate ({logins}): {said}",
        fix="use one of these logins; or let an administrator add {login} to one of your roles, or give you a role "
        "that has it, and renew the certificate: tsh login, or for a bot pkill -sigusr1 tbot",
    ),
    "CLIENT-DESTINATION": Page(
        what="{folder} is not the destination of an output of tbot: {problem}",
        why="what acts as the bot takes the identity that tbot has written there",
        fix="name the folder of an output of the type {types}, and see that tbot runs and has written it",
    ),
    "CLIENT-MULTIPLEXER": Page(
        what="the multiplexer at {path} cannot be reached: {problem}",
        why="a running tbot with the service ssh-multiplexer listens there, for its own account alone",
        fix="see that tbot runs (its log says why it does not), and use the account that it runs as",
    ),
    "CLIENT-FORWARD": Page(
        what="-{option} {value!r} cannot be understood: {problem}",
        why="forwards are written as for ssh: -L and -R [address:]port:host:port, -D [address:]port; a path that "
        "begins with / may stand for a socket on either side",
        fix="for example -L 8080:localhost:80, -R 9000:localhost:22, -D 1080",
    ),
    "CLIENT-FORWARD-LOCAL": Page(
        what="the forward {forward} cannot be set up here: {problem}",
        why="another program may have the port or socket, or this machine has no such address",
        fix="choose another port; `ss -ltnp` shows who listens",
    ),
    "CLIENT-PUTTY": Page(
        what="no session of PuTTY can be made with this {field}",
        why="a value takes one line of a file, and the key is that of a sign-in, not of an identity file",
        fix="sign in with `tsh login`, and use names and paths without line breaks",
    ),
    "CLIENT-SESSION-ID": Page(
        what="{session} is not a valid session ID (must be GUID)",
        why="sessions are named by ids such as 5cee949f-5203-4f3b-9805-dac35d798a16",
        fix="copy the id from the list of running sessions: tsh sessions ls",
    ),
    "CLIENT-CA-PIN": Page(
        what="cluster pin {pins} does not match any provided certificate authority pin",
        why="the Auth Service that answered shows an authority with the pin {found}: its keys were rotated, the pin is "
        "of another cluster, or somebody answers in its place",
        fix="compare with the line `CA pin` of `tctl status` on the Auth Service, and set ca_pin to it",
    ),
    "CLIENT-CA-TIME": Page(
        what="the authority of the cluster is not valid now",
        why="it is valid from {begin} to {end}, and the clock of this machine says {now}",
        fix="set the clock of this machine; if it is right, rotate the authority of the cluster",
    ),
    "CLIENT-CA-PIN-FORM": Page(
        what="{pin} is not a CA pin",
        why="a pin is `sha256:` and 64 hexadecimal digits",
        fix="copy it from the line `CA pin` of `tctl status`",
    ),
    "CLIENT-KUBE-EXEC-INFO": Page(
        what="what kubectl says in KUBERNETES_EXEC_INFO is not understood: {problem}",
        why="kubectl, or whoever else runs this command, writes there in which form it takes certificates",
        fix="let kubectl run the command by itself, from the kubeconfig.yaml of the output, or unset the variable",
    ),
    "CLIENT-JOIN-PROOF": Page(
        what="this machine has no proof for the join method {method}: {problem}",
        why="the method lets somebody else say who this machine is, and that did not work",
        fix="check that the program runs where the join method belongs, and what that place grants it",
    ),
    "CLIENT-JOIN-KEY": Page(
        what="this machine does not have the key {key}, which the server asks for",
        why="the token is bound to that key, and {path} has others or none",
        fix="bring the file back from where the key was made, or make a new token",
    ),
    "CLIENT-JOIN-KEPT": Page(
        what="{path} cannot be read",
        why="it holds the keys to which a token is bound, and what the server gave to keep",
        fix="bring it back from a backup, or remove it and join with a new token",
    ),
    "CLIENT-JOIN-STATIC": Page(
        what="the static key of the join method bound_keypair cannot be read",
        why="it is an Ed25519 private key, PEM; in TBOT_BOUND_KEYPAIR_STATIC_KEY the whole of it once more in base64",
        fix="make one: tbot keypair create --proxy-server=HOST:PORT --static",
    ),
    "CLIENT-JOIN-ROTATE": Page(
        what="the server asks for a new key, and this one is to stay as it is",
        why="a static key cannot be replaced by the bot: nothing would be kept of the new one",
        fix="take rotate_after out of the token, and set recovery.mode to insecure; or do without a static key",
    ),
    "CLIENT-JOIN-METHOD": Page(
        what="join method {method!r} is not available in this build",
        why="it joins with {known}",
        fix="set join_params.method to one of them, and name a token made for it",
    ),
    "CLIENT-JOIN-CHALLENGES": Page(
        what="the server asked for more than {limit} proofs",
        why="no join method needs as many",
        fix="check that the address is that of a Teleport cluster",
    ),
    "CLIENT-JOIN-CHALLENGE": Page(
        what="the server asks for a proof that the join method {method} has not",
        why="server and client differ about how the method goes",
        fix="use the agent of the server's version",
    ),
    "CLIENT-JOIN-KIND": Page(
        what="session {session} cannot be joined",
        why="it is of kind {kind}; only sessions of kind ssh can be joined",
        fix="choose another: tsh sessions ls --kind ssh",
    ),
    "CLIENT-BEHIND": Page(
        what="there is nothing to do in the background",
        why="-f puts a command, or with -N the ports alone, into the background; a shell would have nobody to talk to",
        fix="add a command, or -N",
    ),
    "CLIENT-AGENT-KEY": Page(
        what="the SSH key of this sign-in is neither in its file nor in the SSH agent",
        why="after `tsh login --add-keys-to-agent=only` the key is in the agent alone, until that ends or forgets it",
        fix="point SSH_AUTH_SOCK to that agent, or sign in again: tsh login",
    ),
}
