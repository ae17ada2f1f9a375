"""CONFIG-*: keys and values of teleport.yaml."""

from teleport.base.catalogue import Page

PAGES = {
    "CONFIG-STATIC-TOKEN": Page(
        what="a static token cannot be used: {problem}",
        why="auth_service.tokens holds entries like `node,proxy:the-secret`, or `node:/path/of/a/file` with the secret",
        fix="correct the entry, or use tokens that end: tctl tokens add --type=node",
    ),
    "CONFIG-NOT-A-MAP": Page(
        what="{source}: this is not a configuration file",
        why="a configuration file is one YAML document: a map of sections such as teleport and auth_service",
        fix="compare it with examples/teleport.yaml",
    ),
    "CONFIG-VERSION": Page(
        what="version must be one of v1, v2, v3",
        why="the file says {version}, a version of the format that this build does not know",
        fix="write `version: v3`",
    ),
    "CONFIG-NO-VERSION": Page(
        what="the configuration file has no version; it is read as {version}",
        why="the version decides which keys exist and what their defaults are",
        fix="write `version: {version}` as its first line",
    ),
    "CONFIG-NOT-SUPPORTED": Page(
        what="{key} is not supported yet; supported: {supported}",
        why="no code of this build acts on that value, so accepting it would promise what does not happen",
        fix="remove the key, or use a supported value",
    ),
    "CONFIG-NOT-SUPPORTED-KEYS": Page(
        what="{problems}",
        why="no code of this build acts on these values, so accepting them would promise what does not happen",
        fix="remove the keys, or use supported values",
    ),
    "CONFIG-PROBLEMS": Page(
        what="{problems}",
        why="the configuration file has several faults; nothing was started",
        fix="correct each place named above",
    ),
    "CONFIG-DISPLAY": Page(
        what="{number} is not the number of a display for X11",
        why="it is {wanted}: display n listens on port 6000 + n",
        fix="correct ssh_service.x11, or leave the key out",
    ),
    "CONFIG-VALUE": Page(
        what="unknown {what} {value}",
        why="the choice is: {known}",
        fix="use one of them",
    ),
    "CONFIG-PATH": Page(
        what="{key}: {value} is not a usable path",
        why="a path names a file for as long as the process runs, whatever directory it was started in",
        fix="write the path in full, beginning with /",
    ),
    "CONFIG-NOBODY": Page(
        what="auth_service.authentication.local_auth: no, and no other way to sign in",
        why="with the type `local` people sign in as local users, whom this forbids",
        fix="remove local_auth",
    ),
    "CONFIG-MESH-COUNT": Page(
        what="auth_service.tunnel_strategy has agent_connection_count with the type agent_mesh",
        why="in a mesh every agent keeps a tunnel to every proxy, whatever the number",
        fix="remove agent_connection_count, or write type: proxy_peering",
    ),
    "CONFIG-SEVERAL-PUBLIC": Page(
        what="proxy_service.public_addr has {count} addresses: every client and agent is sent to the first, {first}",
        why="the proxy names one address to those who ask; the others are names in its certificates alone",
        fix="keep one public_addr that everybody can reach, such as that of a load balancer before all proxies",
    ),
    "CONFIG-TWO-FACTORS": Page(
        what="auth_service.authentication has both second_factor and second_factors",
        why="they are the older and the newer form of the same setting, and might say different things",
        fix="keep second_factors alone",
    ),
    "CONFIG-TWO-TOKENS": Page(
        what="teleport has both auth_token and join_params.token_name",
        why="they are the older and the newer form of the same setting, and might name different tokens",
        fix="keep join_params alone",
    ),
    "CONFIG-SERVER-VERSION": Page(
        what="teleport.{key} is not a key of version {version}",
        why="version v3 has auth_server and proxy_server, older versions have the list auth_servers",
        fix="write {instead} instead",
    ),
    "CONFIG-TWO-SERVERS": Page(
        what="teleport has both auth_server and proxy_server",
        why="a host reaches the Auth Service either directly or through a proxy",
        fix="keep proxy_server unless the host can reach the Auth Service directly",
    ),
    "CONFIG-PROXY-SERVER": Page(
        what="teleport.proxy_server cannot be used where {service} is enabled",
        why="the Auth and the Proxy Service reach the Auth Service themselves, not through another proxy",
        fix="use auth_server, or set `enabled: no` in {service}",
    ),
    "CONFIG-TUNNEL-ONLY": Page(
        what="{service} cannot join with teleport.{key}: it is reached through a proxy alone, so it needs proxy_server",
        why="it has no port that a proxy could dial; a proxy reaches it through the tunnel that it keeps to the proxy",
        fix="write `version: v3` and `proxy_server: <host:port of the proxy>` in the place of {key}",
    ),
    "CONFIG-NO-FACTORS": Page(
        what="auth_service.authentication.second_factors is an empty list",
        why="nobody could sign in: every local user shows a second factor",
        fix="write `second_factors: [otp]`",
    ),
    "CONFIG-NO-SECOND-FACTOR": Page(
        what="second factors are off: people sign in with a password alone",
        why="auth_service.authentication says `second_factor: off`",
        fix="remove that line; users without an authenticator app need a new link: `tctl users reset <name>`",
    ),
}
