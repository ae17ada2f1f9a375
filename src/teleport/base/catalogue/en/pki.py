"""PKI-*: keys, certificates, and why a certificate was not accepted."""

from teleport.base.catalogue import Page

_RENEW = "sign in again with `tsh login` and use the new certificate"
_AGENT_CLOCK = "compare the clocks of both machines (`date -u`), then sign in again with `tsh login`"

PAGES = {
    "PKI-CMS": Page(
        what="the signed message is not accepted: {problem}",
        why="it must be one message with one RSA signature and SHA-256 or longer, as clouds sign what a machine is",
        fix="fetch it anew from the metadata service of the machine, and send it as it is",
    ),
    "PKI-TPM": Page(
        what="the endorsement key of the TPM is not accepted: {problem}",
        why="it must be an RSA key of 2048 bits or more, its certificate from one of spec.tpm.ekcert_allowed_cas where "
        "there are some",
        fix="see what `teleport tpm identify` prints on the machine, and compare it with the token",
    ),
    "PKI-JWT": Page(
        what="the token is not accepted: {problem}",
        why="a token (JWT) counts when a key of its issuer signed it, for this audience, and while it is valid",
        fix="let its issuer make a new one for this audience, and check issuer and keys in the configuration",
    ),
    # Keys and formats
    "PKI-KEY": Page(
        what="cannot use {thing}: {problem}",
        why="keys are Ed25519 or ECDSA P-256, as PEM, OpenSSH or DER; users may also bring RSA of 2048 to 8192 bits",
        fix="make a new key, for example with `ssh-keygen -t ed25519`, or sign in again",
    ),
    "PKI-ALGORITHM": Page(
        what="keys of algorithm {algorithm!r} cannot be made for {purpose!r}",
        why="authorities of this build use ed25519 and ecdsa-p256, recordings x25519",
        fix="choose one of these algorithms for this authority",
    ),
    "PKI-SSH-CERT": Page(
        what="not a valid OpenSSH certificate: {problem}",
        why="certificates are read strictly, so that two programs never read the same one differently",
        fix="issue the certificate again; `ssh-keygen -L -f FILE` shows what it holds",
    ),
    "PKI-X509": Page(
        what="not a valid X.509 certificate: {problem}",
        why="certificates are read strictly, so that two programs never read the same one differently",
        fix="issue the certificate again; `openssl x509 -noout -text -in FILE` shows what it holds",
    ),
    "PKI-IDENTITY": Page(
        what="the certificate does not describe an identity: {problem}",
        why="every field of an identity must stand in the certificate in exactly one form",
        fix="issue the certificate again with this version; an older or newer auth service may have made it",
    ),
    "PKI-CA-TYPE": Page(
        what="there is no certificate authority of type {type!r}",
        why="the types are {known}",
        fix="use one of these types",
    ),
    "PKI-NO-SIGNING-KEY": Page(
        what="the {type} authority of cluster {cluster!r} has no active {form} key",
        why="this cluster trusts that authority but does not hold its private key, or it has no key of this form",
        fix="issue the certificate in the cluster that owns the authority",
    ),
    # The signer
    "PKI-SIGNER-GONE": Page(
        what="the signer process of the authorities has ended",
        why="private keys live in that process alone; without it nothing can be signed",
        fix="restart the auth service; the last lines of its log on stderr say why the process `teleport-signer` ended",
    ),
    "PKI-SIGNER-SIZE": Page(
        what="{size} bytes are too many to sign",
        why="a certificate is at most {limit} bytes",
        fix="shorten the traits, roles or principals of this identity",
    ),
    "PKI-NO-KEY": Page(
        what="the signer has no key {key_id}",
        why="the key was retired, or the data directory is not the one in which it was made",
        fix="check `data_dir`; restore its folder `keys` from the backup that belongs to the store",
    ),
    "PKI-SIGN-REFUSED": Page(
        what="the signer refused to sign with key {key_id}: {problem}",
        why="every key signs one kind of document only, and only in its own name",
        fix="this is a defect or an attack: keep the log and report it",
    ),
    "PKI-SIGN-FAULT": Page(
        what="a signature made with key {key_id} does not verify",
        why="every signature is checked before it leaves the signer; memory or processor may be faulty",
        fix="check the machine's memory, move the auth service to another machine",
    ),
    "PKI-KEY-STORE": Page(
        what="the key folder {path} cannot be used: {problem}",
        why="private keys are kept only where nobody else can read them",
        fix="run `chmod 700` on the folder and `chmod 600` on its files, owned by the user of the auth service",
    ),
    "PKI-RECORDING": Page(
        what="the session recording cannot be opened: {problem}",
        why="a recording is sealed to a key of the cluster, and every byte of it is authenticated",
        fix="restore `keys` and `log/records` of the data directory from one backup; keep the log and report it",
    ),
    "PKI-KEY-SPENT": Page(
        what="a data key was about to seal a second recording",
        why="each recording has a key of its own, or what is sealed could be told apart",
        fix="report it: this is a defect",
    ),
    # Why a certificate was not accepted
    "PKI-NOT-A-CERTIFICATE": Page(
        what="unsupported key type: {type}",
        why="only certificates of this cluster are accepted, not plain keys",
        fix="run `tsh login`, then offer the certificate (`ssh -i KEY -o CertificateFile=KEY-cert.pub`)",
    ),
    "PKI-MALFORMED-CERTIFICATE": Page(
        what="the certificate cannot be read: {problem}",
        why="a certificate must have exactly the form in which this cluster issues it",
        fix=_RENEW,
    ),
    "PKI-NOT-PROVEN": Page(
        what="the key that signed is not the key of the certificate",
        why="a certificate counts only for whoever holds its private key",
        fix="offer the certificate together with its own key",
    ),
    "PKI-LOGIN-PROOF": Page(
        what="the proof of a login does not hold: {problem}",
        why="a proxy has to show that the user really signed in as the account for which it wants a certificate",
        fix="connect again; if it stays, bring Proxy and Auth Service to the same version",
    ),
    "PKI-CARRIED": Page(
        what="the certificate of {user!r} is for node {node} alone",
        why="the proxy {proxy} got it for one connection that it has ended and records; it opens nothing else",
        fix="connect with a certificate of `tsh login`",
    ),
    "PKI-WRONG-TYPE": Page(
        what="a {found} certificate was presented where a {wanted} certificate is needed",
        why="certificates of users and of hosts are never exchangeable",
        fix="present a {wanted} certificate",
    ),
    "PKI-UNKNOWN-CA": Page(
        what="the certificate is signed by an authority that is not a trusted {wanted} authority of this cluster",
        why="its signing key is none of the {wanted} keys known here; the cluster's keys may have been rotated",
        fix=_RENEW,
    ),
    "PKI-BAD-SIGNATURE": Page(
        what="the certificate's signature is wrong",
        why="it was changed after it was issued",
        fix=_RENEW,
    ),
    "PKI-EXPIRED": Page(
        what="the certificate expired at {expired}",
        why="certificates are short-lived on purpose; the time here is {now}",
        fix=_RENEW,
    ),
    "PKI-NOT-YET-VALID": Page(
        what="the certificate is not valid before {begins}",
        why="the time here is {now}; one of the clocks is wrong",
        fix=_AGENT_CLOCK,
    ),
    "PKI-NO-KEY-ID": Page(
        what="need a valid key for key {key}",
        why="the certificate names nobody: its key id is empty",
        fix=_RENEW,
    ),
    "PKI-NO-PRINCIPALS": Page(
        what="need a valid principal for key {key}",
        why="the certificate lists no login; an empty list means nobody, never anybody",
        fix="ask for a role with logins, then sign in again with `tsh login`",
    ),
    "PKI-LOGIN-NOT-IN-PRINCIPALS": Page(
        what="the certificate of {user!r} does not allow the login {login!r}",
        why="a certificate lists the logins it is good for, and this one is not among them",
        fix="use one of your logins (`tsh status`), or get a role with this login and sign in again",
    ),
    "PKI-HOST-NOT-IN-PRINCIPALS": Page(
        what="the certificate of host {name!r} does not cover {host!r}",
        why="a host certificate lists the names under which the host may be reached",
        fix="use a name that `tsh ls` shows, or add this one to `public_addr` of the host",
    ),
    "PKI-UNKNOWN-OPTION": Page(
        what="the certificate has a critical option {option!r} that is not known here",
        why="a restriction that cannot be enforced must not be ignored",
        fix="update this service, or issue the certificate without the option",
    ),
    "PKI-SOURCE-ADDRESS": Page(
        what="the certificate may not be used from {address}",
        why="it is bound to the address from which its owner signed in",
        fix="sign in again from here with `tsh login`",
    ),
    "PKI-FOREIGN-CLUSTER": Page(
        what="the certificate belongs to cluster {found!r}, not to {wanted!r}",
        why="an authority vouches for its own cluster only",
        fix="sign in to the right cluster: `tsh login --proxy=PROXY {wanted}`",
    ),
    "PKI-WRONG-USE": Page(
        what="the certificate is not meant for {use}",
        why="its key usage does not list it, or it is an authority's own certificate",
        fix="present the certificate that was issued for this purpose",
    ),
    "PKI-CLIENT-ADDRESS": Page(
        what="could not verify PROXY signature for connection",
        why="{problem}",
        fix="nothing, if a stranger tried it; if a proxy of the cluster did, restart it, so that it gets a certificate",
        more="A proxy tells the Auth Service for whom it opens a connection, and signs that with its certificate.",
    ),
}
