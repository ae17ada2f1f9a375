#!/usr/bin/env bash
# Builds programs of Kubernetes from Debian's source package, which has no binaries of the servers: folder, programs.
# kube-apiserver alone takes some minutes and 2 GB beside the folder while it is built. Needs root for apt.
set -euo pipefail
target=$1
shift
version=1.20.5+really1.20.2-1.1+deb12u1
missing=()
for program in "$@"; do [ -x "$target/$program" ] || missing+=("$program"); done
[ ${#missing[@]} -gt 0 ] || exit 0

work=$(mktemp -d "${TMPDIR:-/var/tmp}/kubernetes-build.XXXXXX")
trap 'chmod -R u+w "$work"; rm -rf "$work"' EXIT
cd "$work"
# The machine's list of package sources stays as it is: the source packages have one of their own.
mkdir -p lists/partial
sed 's/^Types:.*/Types: deb-src/' /etc/apt/sources.list.d/debian.sources >source.sources
source_only=(-o "Dir::Etc::SourceList=$work/source.sources" -o Dir::Etc::SourceParts=/dev/null
  -o "Dir::State::Lists=$work/lists" -o APT::Sandbox::User=root)
apt-get -o DPkg::Lock::Timeout=300 install -y -qq --no-install-recommends \
  dpkg-dev golang-1.19-go golang-github-modern-go-reflect2-dev >/dev/null
apt-get "${source_only[@]}" update -qq
apt-get "${source_only[@]}" source -qq "kubernetes=$version" >/dev/null

mkdir -p go/src/k8s.io
ln -s "$work"/kubernetes-*/ go/src/k8s.io/kubernetes
cd go/src/k8s.io/kubernetes
# The copy in the source package is older than Debian's Go.
rm -f vendor/github.com/modern-go/reflect2/*.{go,s}
cp /usr/share/gocode/src/github.com/modern-go/reflect2/*.{go,s} vendor/github.com/modern-go/reflect2/
export PATH=/usr/lib/go-1.19/bin:$PATH GO111MODULE=off GOPATH=$work/go GOCACHE=$work/cache CGO_ENABLED=0

go build -o "$work/openapi-gen" ./vendor/k8s.io/kube-openapi/cmd/openapi-gen
inputs=$(grep -rl --include='*.go' '+k8s:openapi-gen=' vendor/k8s.io/*/ staging/src/k8s.io/*/ pkg | xargs -n1 dirname |
  sed -e 's#^staging/src/#k8s.io/kubernetes/vendor/#' -e 's#^vendor/#k8s.io/kubernetes/vendor/#' \
    -e 's#^pkg#k8s.io/kubernetes/pkg#' | grep -v -e /sample- -e code-generator -e _examples | sort -u | paste -sd,)
"$work/openapi-gen" -O zz_generated.openapi -h hack/boilerplate/boilerplate.generatego.txt \
  -p k8s.io/kubernetes/pkg/generated/openapi -i "$inputs" -r /dev/null
flags="-s -w"
for package in component-base/version client-go/pkg/version; do
  for value in gitVersion=v1.20.2 gitMajor=1 gitMinor=20; do
    flags="$flags -X k8s.io/kubernetes/vendor/k8s.io/$package.$value"
  done
done
mkdir -p "$work/bin" "$target"
go build -ldflags "$flags" -o "$work/bin/" "${missing[@]/#/./cmd/}"
install -m 755 "$work"/bin/* "$target/"
