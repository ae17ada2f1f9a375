"""AUTH-*: the control plane: signing in, links, changing resources."""

from teleport.base.catalogue import Page

PAGES = {
    "AUTH-LOGIN": Page(
        what="invalid credentials",
        why="the user name, the password, or both are wrong, or the user has not set a password yet",
        fix="check both; an administrator can make a new link with `tctl users reset <name>`",
    ),
    "AUTH-NODE-AGENT": Page(
        what="the record of node {node!r} cannot be written this way",
        why="a node with an agent is written by its agent alone, and one without (sub_kind: openssh) by people alone",
        fix="for a server without an agent write `sub_kind: openssh`, under a name that no agent has",
    ),
    "AUTH-JOIN-TOKEN": Page(
        what='"{host}" can not join the cluster with role "{role}", token expired or not found',
        why="no token has this name, or it stands in the configuration file no more; tokens are of one cluster alone",
        fix="compare the name with what was printed when the token was made, or make a new one: {make}",
    ),
    "AUTH-TOKEN-EXPIRED": Page(
        what='"{host}" can not join the cluster with role "{role}", token expired or not found',
        why="{reason}",
        fix="make a new one, for longer if need be: {make} --ttl=2h",
    ),
    "AUTH-TOKEN-USED": Page(
        what='"{host}" can not join the cluster with role "{role}", token expired or not found',
        why="it is good for one join, and {reason}",
        fix="make a new one: {make}; if that join was not yours, lock who joined: the audit log names them "
        "(instance.join, bot.join)",
    ),
    "AUTH-TOKEN-REMOVED": Page(
        what='"{host}" can not join the cluster with role "{role}", token expired or not found',
        why="{reason}",
        fix="ask who removed it (the audit log has join_token.delete), or make a new one: {make}",
    ),
    "AUTH-JOIN-INVALID": Page(
        what='"{host}" can not join the cluster with role "{role}", the token is not valid',
        why="the Auth Service could not read it: {problem}",
        fix="look into the log of the Auth Service, and try again",
    ),
    "AUTH-JOIN-ROLE": Page(
        what='node "{host}" can not join the cluster, the token does not allow "Node" role',
        why="the token was made for {roles}",
        fix="make one for nodes: tctl tokens add --type=node",
    ),
    "AUTH-JOIN-ROLES": Page(
        what="can not join the cluster, the token does not allow role {role}",
        why="the token was made for {roles}",
        fix="make one for all services of the host: tctl tokens add --type=node,proxy",
    ),
    "AUTH-JOIN-SERVICES": Page(
        what="cannot requisition instance certs (token contains no local service roles)",
        why="the token was made for {roles}, and a host joins to run services",
        fix="make one for the services of the host: tctl tokens add --type=node,app",
    ),
    "AUTH-JOIN-AS": Page(
        what="nobody joins as {role!r}",
        why="hosts join as Instance, whatever services they run, and bots as Bot",
        fix="use the agent or the tbot of this version",
    ),
    "AUTH-JOIN-METHOD": Page(
        what="client requested join method {asked}, provision token only supports method {method}",
        why="a token is good for one join method",
        fix="set join_params.method to {method}, or name another token",
    ),
    "AUTH-JOIN-ENDPOINT": Page(
        what="this token is only valid for the {method} join method but the node has connected to the wrong endpoint, "
        "make sure your node is configured to use the {method} join method",
        why="servers without an agent join with tokens of the method `token`, whose name is a secret",
        fix="make such a token: tctl tokens add --type=node",
    ),
    "AUTH-JOIN-EXPIRES": Page(
        what="'expires' cannot be set on join for non-bot certificates",
        why="certificates of hosts end when the cluster says",
        fix="leave it out",
    ),
    "AUTH-JOIN-FORWARDED": Page(
        what="only a proxy passes on what another wants",
        why="the message names an address that it is said to come from, and its sender has no certificate of a proxy",
        fix="join directly, or through the proxy",
    ),
    "AUTH-JOIN-EC2": Page(
        what="AWS did not say whether the instance runs: {problem}",
        why="a rule of the token has an aws_role, which the Auth Service takes on to ask ec2:DescribeInstances",
        fix="give the Auth Service credentials of AWS that may take on the role, and the role that permission",
    ),
    "AUTH-JOIN-ROOTS": Page(
        what="this Auth Service cannot tell who signs for {cloud}: {problem}",
        why="{why}",
        fix="{fix}",
    ),
    "AUTH-JOIN-OFTEN": Page(
        what="too many attempts to join come from {source}",
        why="{problem}",
        fix="wait for a minute; the log of the Auth Service says why the attempts before failed",
    ),
    "AUTH-JOIN-PROOF": Page(
        what="{problem}",
        why="the proof of the join method {method} does not hold",
        fix="check that it was made for this cluster, where the token {token} expects it, and just now",
    ),
    "AUTH-JOIN-RULES": Page(
        what="{who} did not match any allow rules in token {token}",
        why="every field of a rule must match, and one rule must match as a whole",
        fix="compare what the log of the Auth Service says of it with spec.{method}.allow: tctl get token/{token}",
    ),
    "AUTH-JOIN-CHANGED": Page(
        what="unexpected backend state",
        why="the token {token} was changed while somebody was joining with it, perhaps by another who did the same",
        fix="join again; if nobody else should have this key, look for a copy of it",
    ),
    "AUTH-JOIN-KEY": Page(
        what="a key of the algorithm {algorithm} is not bound",
        why="keys of bound_keypair are Ed25519 or ECDSA P-256",
        fix="make one: ssh-keygen -t ed25519",
    ),
    "AUTH-JOIN-IN-CLUSTER": Page(
        what="the token {token} is for pods beside the Auth Service, which runs in no Kubernetes cluster",
        why="with spec.kubernetes.type in_cluster the API server of that cluster is asked about each pod",
        fix="use static_jwks, with the keys that `kubectl get --raw /openid/v1/jwks` prints",
    ),
    "AUTH-JOIN-REVIEW": Page(
        what="the Kubernetes cluster of the Auth Service did not examine the token of a pod: {problem}",
        why="its API server has to let the Auth Service create TokenReviews",
        fix="bind the cluster role system:auth-delegator to the service account of the Auth Service",
    ),
    "AUTH-TOKEN-STATIC": Page(
        what="the token {token} stands in the configuration file of the Auth Service",
        why="static tokens are not made, changed or removed at run time",
        fix="change auth_service.tokens in teleport.yaml and restart the Auth Service",
    ),
    "AUTH-BOT-NAME": Page(
        what='bot "{bot}" needs the {kind} "{name}", which is there and does not belong to it',
        why="a bot stands on a user and a role of this name, which are written and removed with it",
        fix="give the bot another name, or rename the {kind}",
    ),
    "AUTH-BOT-GONE": Page(
        what='there is no bot "{bot}"',
        why="it was removed, or its user was",
        fix="stop tbot where it still runs as this bot; or ask an administrator to make the bot again, and start tbot "
        "with the new token: tctl bots add {bot} --roles=...",
    ),
    "AUTH-BOT-IDENTITY": Page(
        what="{problem}",
        why="only the certificates that a bot itself has from its join can do this",
        fix="use the bot's own storage, not the certificates of an output",
    ),
    "AUTH-BOT-NOT-RENEWABLE": Page(
        what='the certificates of bot "{bot}" cannot be renewed with themselves',
        why="the bot did not join with a secret token: it proves anew who it is instead",
        fix="join again with the join method of its token",
    ),
    "AUTH-BOT-GENERATION": Page(
        what="renewable cert generation mismatch: stored={stored}, presented={presented}",
        why="the bot's storage was copied or put back from a backup, or is used by two programs: the certificates that "
        "were shown are not the last ones that this instance was given",
        fix='find out which other host used them (tctl get locks names bot "{bot}"; the event cert.generation_mismatch '
        "has both addresses), then: tctl bots recover {bot} (it removes lock/{lock} and makes a new token); restart "
        "tbot with the new token",
    ),
    "AUTH-BOT-LATE": Page(
        what="this renewal was answered long ago: stored={stored}, presented={presented}",
        why="the request was on its way while the bot asked again and went on, or the bot's storage was put back from "
        "a backup",
        fix="nothing, if it was late: nobody waits for the answer; a bot that does asks again at once",
    ),
    "AUTH-BOT-NO-INSTANCE": Page(
        what='there is no instance "{instance}" of bot "{bot}"',
        why="it was removed, or its certificates ended a while ago",
        fix="make a token for a new instance: tctl bots instances add {bot}",
    ),
    "AUTH-BOT-HEALTH": Page(
        what="the heartbeat of a bot is not accepted: {problem}",
        why="what instances say of their services is kept, so it is bounded",
        fix="give the service a shorter name in tbot.yaml",
    ),
    "AUTH-BOT-OUTPUT": Page(
        what="{name} cannot have certificates for outputs",
        why="only a bot's own certificates can, not those of people and not those of another output",
        fix="ask with the bot's own certificates",
    ),
    "AUTH-BOT-NO-ROLES": Page(
        what='no roles were asked for that bot "{bot}" may have, or more than {most}',
        why="certificates of an output carry some of the roles that the bot was given",
        fix="give the bot roles: tctl bots update {bot} --add-roles=ROLE",
    ),
    "AUTH-BOT-ROUTES": Page(
        what='an output of bot "{bot}" is for more than one thing',
        why="certificates lead to one database, one application or one Kubernetes cluster",
        fix="make an output for each",
    ),
    "AUTH-BOT-ACCOUNT": Page(
        what='no account of database "{database}" is named',
        why="the output names none, and its roles do not allow exactly one: {users}",
        fix="name one in the output: username: ...",
    ),
    "AUTH-JOIN-FORMER": Page(
        what="the server did not prove that it is the one it was",
        why="{problem}",
        fix="remove the certificate in its data directory and join again: it gets a new id; then remove the old record",
    ),
    "AUTH-OPENSSH-TARGET": Page(
        what="the proxy may not stand for node {node!r}",
        why="it ends the connections of users only at servers without an agent, and where recording is at the proxy",
        fix="connect again: the proxy will have learnt by then how sessions are recorded",
    ),
    "AUTH-OPENSSH-REPLAY": Page(
        what="the sign-in of {user!r} was used before",
        why="each sign-in at the proxy is good for one connection to one server",
        fix="connect again",
    ),
    "AUTH-AUDIT-GAP": Page(
        what="events of {host} are missing: number {expected} was expected, {first} came",
        why="a service sends its events in order; some were lost on its disk, or this server was restored from a "
        "backup",
        fix="nothing: the service goes on with a note of what is missing; see the log of both",
    ),
    "AUTH-AUDIT-WRITER": Page(
        what="{writer!r} with this number cannot name a run of a service",
        why="a name has 1 to 64 letters, digits, dots, dashes and underscores, and numbers begin with 1",
        fix="this is a defect of the program that sent it; please report it",
    ),
    "AUTH-LOGIN-MFA": Page(
        what="invalid username, password or second factor",
        why="one of them is wrong, the code was used before, or the user has not signed up yet",
        fix="check them and wait for the next code; an administrator can make a new link with "
        "`tctl users reset <name>`",
    ),
    "AUTH-MFA-REQUIRED": Page(
        what="a second factor is required",
        why="nobody signs in to this cluster with a password alone",
        fix="send the code of your authenticator app as well: programs use /webapi/mfa/login/begin and finish",
    ),
    "AUTH-CODE": Page(
        what="this code is not right",
        why="it is not what an app with the secret of this page shows now; a code is good for about a minute",
        fix="scan the picture (again), check that the clock of your phone is right, and type the next code",
    ),
    "AUTH-SESSION": Page(
        what="you are not signed in, or not any more",
        why="a session ends with its time, when it is not used for a while, when you sign out, or when your password "
        "is replaced",
        fix="sign in again",
    ),
    "AUTH-USER-ROLES": Page(
        what="user {user!r} cannot get a certificate: {missing}",
        why="a certificate names at least one role, and every role that it names exists",
        fix="an administrator corrects the user: `tctl users update {user} --set-roles=<roles>`",
    ),
    "AUTH-LOCKED-OUT": Page(
        what="user has exceeded maximum failed login attempts",
        why="five attempts failed within 30 minutes; further ones are refused for 30 minutes, right or wrong",
        fix="wait half an hour, or ask an administrator for `tctl users reset <name>`",
    ),
    "AUTH-PASSWORD-LENGTH": Page(
        what="the password is too short or too long",
        why="a password has at least {minimum} and at most {maximum} characters",
        fix="choose another one; several words in a row are easy to remember",
    ),
    "AUTH-INVITE": Page(
        what="this link is not valid",
        why="it was used already, has expired, was replaced by a newer one, or was not copied completely",
        fix="ask an administrator for a new link: `tctl users reset <name>`",
    ),
    "AUTH-INVITE-TTL": Page(
        what="a link cannot be valid for {asked}",
        why="this kind of link is valid for at most {maximum}",
        fix="choose a time between 1m and {maximum}",
    ),
    "AUTH-HAS-PASSWORD": Page(
        what="user {user!r} has a password already",
        why="an invitation is for the first password only",
        fix="run `tctl users reset {user}` to replace the password",
    ),
    "AUTH-NO-ROLE": Page(
        what='role "{role}" is not found',
        why="{kind} {name!r} names a role that does not exist",
        fix="create the role first, or name one that `tctl get roles` lists",
    ),
    "AUTH-ROLE-IN-USE": Page(
        what='failed to delete role "{role}" that is still in use by a user',
        why="these users hold it: {users}",
        fix="take it from them first: `tctl users update <name> --set-roles=<other roles>`",
    ),
    "AUTH-NOT-WRITABLE": Page(
        what='{action} resources of type "{kind}" is not supported',
        why="the cluster itself keeps this kind",
        fix="see `tctl api-resources` for what may be changed",
    ),
    "AUTH-LEASES": Page(
        what="err-max-leases: {limit} places of {name!r} are held, which is as many as there may be",
        why="a limit of the roles for the whole cluster is reached (max_connections)",
        fix="wait until one is given back; `tctl get semaphores` shows who holds them",
    ),
    "AUTH-ESCALATION": Page(
        what="a service may not write events of type {event!r}",
        why="events of this type are written by the Auth Service itself, about its own acts",
        fix="emit only what the service saw: sessions and commands",
    ),
    "AUTH-HOST-SELF": Page(
        what="host {caller} may not ask for certificates of host {asked} in the roles {roles}",
        why="a host may renew its own certificates, in the system roles that it joined with",
        fix="join the other host with a token of its own",
    ),
    "AUTH-HOST-REQUEST": Page(
        what="the request for host certificates is wrong: {problem}",
        why="a host is named by a UUID and has at least one system role",
        fix="correct the request",
    ),
    "AUTH-SIGN-PINNED": Page(
        what="no certificate of {user} can be made without a sign-in",
        why="a role of this user binds certificates to the address of the sign-in (options.pin_source_ip)",
        fix="let the user sign in with `tsh login`, or take pin_source_ip out of the role",
    ),
    "AUTH-DECISION": Page(
        what='decision "{decision}" not found',
        why="no refusal of this cluster in the last 30 days has that id",
        fix="copy the id from the message again; it has 26 characters",
    ),
    "AUTH-EXPLAIN": Page(
        what="access denied to this explanation",
        why="it speaks of roles that you may not read",
        fix="ask somebody who may read audit events and all roles",
    ),
    "AUTH-OWN-AUTHORITY": Page(
        what="the {type} authority of {cluster} cannot be deleted",
        why="it is the cluster's own: without it no certificate is valid any more, yours included",
        fix="replace its keys by rotation instead",
    ),
    "AUTH-OTHER-CLUSTER": Page(
        what="the data directory belongs to cluster {stored!r}, the configuration names {configured!r}",
        why="a cluster's name stands in every certificate and cannot be changed later",
        fix="set cluster_name to {stored!r}, or start with an empty data directory",
    ),
    "AUTH-LIST-LIMIT": Page(
        what="a page cannot have {limit} resources",
        why="a page has between 1 and {maximum}",
        fix="ask for fewer and follow `next`",
    ),
    "AUTH-WATCH-KINDS": Page(
        what="a watch names between 1 and {maximum} kinds",
        why="each watched kind costs the server memory",
        fix="open several watches",
    ),
}
