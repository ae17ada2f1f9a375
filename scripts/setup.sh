#!/usr/bin/env bash
# Makes the virtual environment from the lock file: python, folder. Safe to run again.
set -euo pipefail
python=$1 venv=$2
"$python" - <<'PY' || { echo "python 3.11 or newer is needed: make setup PY=/path/to/python3.11" >&2; exit 1; }
import sys
sys.exit(sys.version_info < (3, 11))
PY
[ -x "$venv/bin/python" ] || "$python" -m venv "$venv"
echo "setup: installing the locked dependencies"
"$venv/bin/pip" install -q --disable-pip-version-check --require-hashes -r requirements.lock
"$venv/bin/pip" install -q --disable-pip-version-check --no-deps --no-build-isolation -e .
"$venv/bin/python" -m compileall -q src
# What comes from the system: ssh, which everything needs, and the peers of the tests.
missing=()
while read -r program packages; do
  # shellcheck disable=SC2206 - some programs need two packages
  PATH=$PATH:/usr/sbin:/sbin command -v "$program" >/dev/null || missing+=($packages)
done <<'PROGRAMS'
ssh openssh-client
curl curl
sshd openssh-server
plink putty-tools
rsync rsync
psql postgresql-client
pg_ctlcluster postgresql
mariadb mariadb-client
git git
haproxy haproxy
nginx nginx-light
tinyproxy tinyproxy-bin
asciinema asciinema
systemd-analyze systemd
swtpm swtpm
swtpm_setup swtpm-tools
chromium chromium
strace strace
ip iproute2
nsenter util-linux
bpftrace bpftrace
xauth xauth
visudo sudo
useradd passwd
getfacl acl
etcd etcd-server
kubectl kubernetes-client
cc gcc libc6-dev
PROGRAMS
if [ ${#missing[@]} -gt 0 ] && [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
  echo "setup: installing ${missing[*]}"
  apt-get update -qq || true
  for package in "${missing[@]}"; do
    apt-get install -y -qq --no-install-recommends "$package" >/dev/null || echo "setup: $package could not be installed"
  done
elif [ ${#missing[@]} -gt 0 ]; then
  echo "setup: ${missing[*]} missing; tests that need them are skipped"
fi
# The API server of Kubernetes is in no package: it is built once for a machine, which takes some minutes.
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null && ! command -v kube-apiserver >/dev/null; then
  echo "setup: building kube-apiserver"
  scripts/kubernetes.sh /usr/local/bin kube-apiserver || echo "setup: kube-apiserver could not be built"
fi
command -v ssh >/dev/null || { echo "setup: the demo and the tests need ssh; install it and run this again" >&2; exit 1; }
echo "setup: ready; commands are in $venv/bin: teleport tctl tsh tbot"
