"""The first walk, on this machine, with the real commands: `make demo`.

A cluster in one process on SQLite; a user signs up by a link, with a password and an authenticator app that
this script plays, signs in, lists servers, runs a command with stock `ssh`; is refused, is told why, is given
what the explanation suggests, and succeeds; works in a recorded shell, finds the recording and plays it; and the audit
log is checked against its own checkpoint. Everything lives in a temporary folder and on loopback ports;
nothing is asked; it ends with exit status 0 or says what failed.
"""

from __future__ import annotations

import base64
import getpass
import hmac
import http.cookiejar
import os
import re
import secrets
import shlex
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import time
import urllib.parse
import urllib.request
from pathlib import Path

BIN = Path(sys.executable).parent
LOGIN = getpass.getuser()
CLUSTER = "demo.teleport.test"
NODE = "node-1"

CONFIG = """\
version: v3
teleport:
  nodename: {node}
  data_dir: {data}
auth_service:
  enabled: yes
  cluster_name: {cluster}
  listen_addr: 127.0.0.1:{auth}
proxy_service:
  enabled: yes
  web_listen_addr: 127.0.0.1:{web}
  public_addr: localhost:{web}
ssh_service:
  enabled: yes
  listen_addr: 127.0.0.1:{ssh}
  labels: {{env: dev}}
"""

ROLE = """\
kind: role
version: v7
metadata: {{name: developer}}
spec:
  allow:
    logins: ['{{{{internal.logins}}}}']
    node_labels: {{env: [{env}]}}
    rules:
    - resources: [session]
      verbs: [list, read]
      where: contains(session.participants, user.metadata.name)
"""

TYPED = """\
PS1='$ '
echo Deploying release 42; for part in web api jobs; do sleep 0.3; printf '\\033[32m%s is up\\033[0m\\n' $part; done
exit
"""
"""What the user types in the recorded shell."""


class Demo:
    """One run: the folder, the server, and how commands are shown and checked."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.began = time.monotonic()
        self.web, self.auth, self.ssh_port = (free_port() for _ in range(3))
        self.config = folder / "teleport.yaml"
        self.log = folder / "teleport.log"
        self.environment = {
            **os.environ,
            "TELEPORT_HOME": str(folder / "tsh"),
            "TELEPORT_CONFIG_FILE": str(self.config),
            "SSL_CERT_FILE": str(folder / "data" / "webproxy_cert.pem"),
            "PATH": f"{BIN}:{os.environ['PATH']}",
            "NO_COLOR": "1",
        }
        self.server: subprocess.Popen[bytes] | None = None
        self.phone = b""
        self.step = 0

    def title(self, text: str) -> None:
        """Show where the walk is."""
        print(f"\n\033[1m[{time.monotonic() - self.began:4.1f} s] {text}\033[0m" if sys.stdout.isatty()
              else f"\n[{time.monotonic() - self.began:4.1f} s] {text}", flush=True)  # fmt: skip

    def run(self, command: str, *, given: str = "", status: int | None = 0) -> str:
        """Run a command line as a user would type it, show it with its output, and check how it ended."""
        print(f"$ {command}", flush=True)
        done = subprocess.run(
            shlex.split(command), input=given, env=self.environment, capture_output=True, text=True, timeout=60
        )
        for line in (done.stdout + done.stderr).rstrip().splitlines():
            print(f"  {line}", flush=True)
        if status is not None and done.returncode != status:
            raise SystemExit(f"demo: `{command}` ended with status {done.returncode} instead of {status}")
        return done.stdout + done.stderr

    def start(self) -> None:
        """Start the server and wait until every service is ready."""
        self.config.write_text(CONFIG.format(
            node=NODE, data=self.folder / "data", cluster=CLUSTER, auth=self.auth, web=self.web, ssh=self.ssh_port,
        ))  # fmt: skip
        print(f"$ teleport start -c {self.config.name} &", flush=True)
        with self.log.open("wb") as log:
            self.server = subprocess.Popen(
                [BIN / "teleport", "start", "-c", self.config], stderr=log, stdout=log, env=self.environment
            )
        for _ in range(300):
            if self.server.poll() is not None:
                raise SystemExit(f"demo: teleport ended early:\n{self.log.read_text()}")
            probe = subprocess.run(
                [BIN / "teleport", "debug", "readyz"], env=self.environment, capture_output=True, text=True
            )
            if probe.returncode == 0:
                print("  " + probe.stdout.rstrip().replace("\n", "\n  "), flush=True)
                return
            time.sleep(0.1)
        raise SystemExit(f"demo: teleport is not ready after 30 s:\n{self.log.read_text()}")

    def stop(self) -> None:
        """End the server."""
        if self.server is not None and self.server.poll() is None:
            self.server.send_signal(signal.SIGTERM)
            self.server.wait(timeout=20)

    def sign_up(self, link: str, password: str) -> None:
        """Do in the browser's place what the page asks for, and keep the secret as a phone does."""
        place = link.rpartition("/")[0]
        print(f"(browser) open {place}/..., type a password twice, scan the picture, type the code", flush=True)
        context = ssl.create_default_context(cafile=self.environment["SSL_CERT_FILE"])
        browser = urllib.request.build_opener(
            urllib.request.HTTPSHandler(context=context),
            urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar()),
        )
        page = browser.open(link, timeout=20).read().decode()
        token = re.search(r'name="csrf" value="([0-9a-f]+)"', page)
        if token is None:
            raise SystemExit(f"demo: the sign-up page has no form:\n{page}")
        secret = re.search(r'id="secret">([A-Z2-7 ]+)<', page)
        if secret is None:
            raise SystemExit(f"demo: the sign-up page offers no authenticator app:\n{page}")
        self.phone = base64.b32decode(secret[1].replace(" ", ""))
        form = {"csrf": token[1], "password": password, "again": password, "code": self.code()}
        answer = browser.open(link, data=urllib.parse.urlencode(form).encode(), timeout=60).read().decode()
        heading = re.search(r"<h1>(.*?)</h1>", answer, re.S)
        print(f"  {heading[1].strip() if heading else answer}", flush=True)

    def code(self) -> str:
        """Return what an authenticator app shows (RFC 6238), another code each time: each is good once.

        The cluster accepts the codes of one step before and after as well, so nobody waits here.
        """
        now = int(time.time() + 8) // 30  # noqa: TID251 - phones have clocks; a code about to end may come too late
        self.step = max(self.step + 1, now - 1)
        digest = hmac.digest(self.phone, self.step.to_bytes(8, "big"), "sha1")
        at = digest[-1] & 15
        return f"{(int.from_bytes(digest[at : at + 4], 'big') & 0x7FFFFFFF) % 10**6:06}"

    def until(self, command: str, words: str) -> str:
        """Run a command again and again until it shows some words; show the last run."""
        for _ in range(150):
            done = subprocess.run(
                shlex.split(command), env=self.environment, capture_output=True, text=True, timeout=60
            )
            if done.returncode == 0 and words in done.stdout:
                return self.run(command)
            time.sleep(0.2)
        raise SystemExit(f"demo: `{command}` does not show {words!r}:\n{done.stdout}{done.stderr}")

    def role(self, env: str) -> None:
        """Write the role with the given value of `env`."""
        path = self.folder / "developer.yaml"
        path.write_text(ROLE.format(env=env))
        self.run(f"tctl create -f {path}")

    def ssh(self, command: str, *, status: int, login: str = LOGIN) -> str:
        """Run a command on the node with stock OpenSSH."""
        return self.run(
            f"ssh -F {self.folder}/ssh_config {login}@{NODE}.{CLUSTER} {shlex.quote(command)}", status=status
        )


def walk(demo: Demo) -> None:
    """The story."""
    demo.title("A cluster in one process: Auth, Proxy and SSH Service on SQLite")
    demo.start()
    demo.run("tctl status")

    demo.title("An administrator makes a role and invites a user")
    demo.role("dev")
    link = re.search(r"https://\S+", demo.run(f"tctl users add alice --roles=developer --logins={LOGIN}"))
    if link is None:
        raise SystemExit("demo: no link was printed")

    demo.title("The user signs up, signs in and sees what they may reach")
    password = secrets.token_urlsafe(18)
    demo.sign_up(link[0], password)
    demo.run(f"tsh login --proxy=localhost:{demo.web} --user=alice", given=f"{password}\n{demo.code()}\n")
    demo.run("tsh ls")
    (demo.folder / "ssh_config").write_text(demo.run("tsh config"))

    demo.title("A command over stock OpenSSH, with the certificate")
    greeting = demo.ssh("echo Hello from $(whoami), as $SSH_TELEPORT_USER of $SSH_TELEPORT_CLUSTER_NAME", status=0)
    if f"Hello from {LOGIN}, as alice of {CLUSTER}" not in greeting:
        raise SystemExit("demo: the greeting is not what was expected")

    demo.title("A login that no role gives: refused at the door, with a reason")
    demo.ssh("true", login="postgres" if LOGIN != "postgres" else "backup", status=255)

    demo.title("Somebody narrows the role; the same command is refused")
    demo.role("staging")
    refusal = demo.ssh("true", status=255)
    decision = re.search(r"\b[0-9a-hjkmnp-tv-z]{26}\b", refusal)
    if decision is None:
        raise SystemExit("demo: the refusal has no decision id")

    demo.title("The administrator asks why, and what would help")
    demo.run(f"tctl access explain {decision[0]}")

    demo.title("The suggested grant, and success")
    demo.role("staging, dev")
    demo.ssh("echo back again", status=0)

    demo.title("A shell on a terminal, with stock OpenSSH; it is recorded")
    shown = demo.run(f"ssh -tt -F {demo.folder}/ssh_config {LOGIN}@{NODE}.{CLUSTER}", given=TYPED)
    if "jobs is up" not in shown:
        raise SystemExit("demo: the shell did not do what was typed")

    demo.title("The recording: sealed at the node, kept by the Auth Service, found by what was on the screen")
    listed = demo.until("tsh recordings ls", NODE)
    session = re.search(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", listed)
    if session is None:
        raise SystemExit("demo: the recording has no id")
    demo.until('tsh recordings search "api is up"', "api is up")
    demo.run(f"tsh play {session[0]} --format=text")

    demo.title("A command on every server with a label, and a file there and back")
    demo.run(f"tsh ssh {LOGIN}@env=dev 'echo $SSH_TELEPORT_USER was here'")
    demo.run(f"tsh scp {demo.folder}/ssh_config {LOGIN}@{NODE}:{demo.folder}/there")
    demo.run(f"tsh scp {LOGIN}@{NODE}:{demo.folder}/there {demo.folder}/back")
    if (demo.folder / "back").read_bytes() != (demo.folder / "ssh_config").read_bytes():
        raise SystemExit("demo: the file that came back is another one")

    demo.title("What the audit log says, and its newest checkpoint for somebody outside to keep")
    demo.run("tctl audit ls")
    demo.run("tctl audit query \"SELECT time, user, event, command FROM events WHERE user = 'alice' LIMIT 5\"")
    head = demo.folder / "head.json"
    head.write_text(demo.run("tctl audit head --format=json"))
    demo.run(f"tctl audit verify --checkpoint {head}")


def free_port() -> int:
    """Return a port of loopback that is free now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def main() -> None:
    """Run the walk in a folder that is gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="teleport-demo-") as folder:
        demo = Demo(Path(folder))
        try:
            walk(demo)
        except BaseException:
            if demo.log.exists():
                print(demo.log.read_text()[-6000:], file=sys.stderr)
            raise
        finally:
            demo.stop()
    print(f"\ndemo: done in {time.monotonic() - demo.began:.1f} s", flush=True)


if __name__ == "__main__":
    main()
