"""The private names of asyncssh that `net.ssh*` use, in one table.

asyncssh promises nothing about them, so each stands here with what we use it for, and each method with the
digest of its source in the pinned version. A test compares both with the installed package and our own
code with this table; a new version of asyncssh is taken by reading what the test says has changed.
"""

from __future__ import annotations

from typing import NamedTuple

VERSION = "2.24.1"
"""The version of asyncssh that the digests are of."""


class Name(NamedTuple):
    """One private name, or a public method of asyncssh that we replace."""

    owner: str
    """`module.Class` below `asyncssh`."""
    name: str
    digest: str
    """First 12 digits of the SHA-256 of a method's source; empty for an attribute."""
    why: str


_CONN, _SERVER, _CHANNEL = "connection.SSHConnection", "connection.SSHServerConnection", "channel.SSHChannel"
_CLIENT = "connection.SSHClientConnection"

NAMES: tuple[Name, ...] = (
    Name(_CONN, "_auth_complete", "", "whether quick acknowledgements are still needed"),
    Name(_CONN, "_channels", "", "to count channels, and to hold their output"),
    Name(_CONN, "_cleanup", "ea4cd2aed571", "called at the end, as `_force_close` does"),
    Name(_CONN, "_force_close", "264b4367525f", "replaced: the client gets a moment to read our last words"),
    Name(_CONN, "_loop", "", "timers of the connection"),
    Name(_CONN, "_packet_handlers", "", "replaced: channel opens and global requests by closed lists"),
    Name(_CONN, "_send_disconnect", "225d909cfce7", "called: a reason for the client, before its channels end"),
    Name(_CONN, "_session_id", "", "what the client's signature is over"),
    Name(_CONN, "_transport", "", "to see how much output waits, and to close it"),
    Name(_CONN, "_process_channel_open", "0a1ae759cb6a", "replaced: a message is read as it reads it"),
    Name(_CONN, "_process_global_request", "ab927889d384", "replaced: a message is read as it reads it"),
    Name(_CONN, "_process_userauth_request", "9d1a0e42d15a", "relied on: a new request cancels the one being decided"),
    Name(_CONN, "_finish_userauth", "bd2146536318", "relied on: what it asks for a new user name"),
    Name(_CONN, "_recv_packet", "b3daa22e9763", "relied on and followed: no channel before authentication; strict kex"),
    Name(_CONN, "_process_kexinit", "439bdf2fc55e", "relied on: strict key exchange"),
    Name(_CONN, "send_userauth_failure", "30f1eb63d0cb", "extended: attempts are counted"),
    Name(_CONN, "send_userauth_success", "812e749ee243", "relied on: sends its packet before anything can be awaited"),
    Name(_CONN, "add_channel", "81a9f117d071", "extended: bound on the number of channels"),
    Name(_CONN, "data_received", "b2d14a83b260", "extended: quick acknowledgements, bound on unsent output"),
    Name(_CONN, "internal_error", "ceabee464f7c", "extended: a defect is told"),
    Name(_CONN, "pause_writing", "a69ec7dae4f5", "replaced: asyncssh ignores it"),
    Name(_CONN, "resume_writing", "a324675672f6", "replaced: asyncssh ignores it"),
    Name(_SERVER, "reload_config", "d78b0be8399d", "replaced: nothing depends on the user name"),
    Name(_SERVER, "validate_public_key", "eb5e22433928", "replaced: our own authentication"),
    Name(_SERVER, "public_key_auth_supported", "15574dcfbd63", "replaced: always"),
    Name(_SERVER, "password_auth_supported", "45da2cc557db", "replaced: never"),
    Name(_SERVER, "kbdint_auth_supported", "7e661408a3fb", "replaced: never"),
    Name(_SERVER, "host_based_auth_supported", "98521e7e6a5b", "replaced: never"),
    Name(_SERVER, "gss_kex_auth_supported", "96e831112166", "replaced: never"),
    Name(_SERVER, "gss_mic_auth_supported", "c054af48eeed", "replaced: never"),
    Name(_CONN, "_owner", "", "what a server said before it refused us"),
    Name(_CLIENT, "validate_server_host_key", "c8e8cd30a44d", "replaced: our own check of a server's key"),
    Name(_CLIENT, "_process_auth_agent_at_openssh_dot_com_open", "2874b37a5c22", "replaced: only what was lent"),
    Name(_CONN, "_make_global_request", "5f4b41f0c38a", "called: what the server is to listen at"),
    Name(_CLIENT, "_process_x11_open", "a79b7ae8aae3", "replaced: only what was lent"),
    Name(_CLIENT, "_process_forwarded_tcpip_open", "4d82ef7115cf", "replaced: only where we let it listen"),
    Name(_CLIENT, "_process_forwarded_streamlocal_at_openssh_dot_com_open", "9827df1ecaa9", "replaced: as above"),
    Name("auth._ServerPublicKeyAuth", "_start", "f736fe6663fc", "relied on: `msg` is empty without a signature"),
    Name(_CHANNEL, "_open", "2e24c79791be", "called: a channel of ours to the client, or to a server"),
    Name(_CHANNEL, "_make_request", "ed532069371d", "called: a request to a server, and its answer"),
    Name(_CHANNEL, "_send_request", "75abdd7bb806", "called: a request to a server without an answer"),
    Name(_CHANNEL, "_start_reading", "4f7bb9c5f1fc", "called: the server's output may come"),
    Name("channel.SSHForwardChannel", "_finish_open_request", "a7b8b7822e9e", "relied on: opened before its data"),
    Name(_CHANNEL, "_finish_open_request", "0186fdd53941", "relied on: a session is opened before the client is told"),
    Name(_CHANNEL, "process_open_confirmation", "83e189367ef9", "extended: the session is there before its data"),
    Name(_CHANNEL, "_packet_handlers", "", "replaced: requests are bounded, a close is not delayed"),
    Name(_CHANNEL, "_process_close", "65c1f876b753", "called for a close"),
    Name(_CHANNEL, "_process_request", "fd623107926d", "called for a request within the bounds"),
    Name(_CHANNEL, "_report_response", "b12780761787", "to answer a request, at once or later"),
    Name(_CHANNEL, "_request_queue", "", "the request to answer, and how many wait"),
    Name(_CHANNEL, "_service_next_request", "386db1498a95", "replaced: requests by a closed list"),
    Name(_CHANNEL, "_session", "", "the session of the channel; None when it has ended"),
    Name(_CHANNEL, "process_open", "6a3a551a99b6", "extended: bound on the packet size"),
    # The way of packets (`ssh_packets`, `ssh_ciphers`)
    Name(_CONN, "send_packet", "fb9da7bec6dd", "replaced for authenticating ciphers: when it waits, rekeying, padding"),
    Name(_CONN, "connection_made", "e7b867af0f59", "extended: how much output may wait"),
    Name(_CONN, "_send", "c6698a37eb80", "called: bytes to the transport"),
    Name(_CONN, "_send_kexinit", "275ddc818b59", "called when new keys are due"),
    Name(_CONN, "send_newkeys", "0b4123442037", "relied on: each key is a new object in `_send_encryption`"),
    Name(_CONN, "_process_newkeys", "a0331fe3cfd0", "relied on: each key is a new object in `_recv_encryption`"),
    Name(_CONN, "_reset_keepalive_timer", "7a9157707c51", "extended: not for each packet"),
    Name(_CONN, "_recv_data", "fc4e0735191b", "extended: input is joined before, and cut after it"),
    Name(_CONN, "_recv_pkthdr", "7adc4d88fe20", "replaced for authenticating ciphers: takes whole packets"),
    Name(_CONN, "_finish_recv_packet", "e12d96db58b3", "called when a message was taken"),
    Name(_CONN, "_auth", "", "who takes messages of a method of authentication"),
    Name(_CONN, "_auth_final", "", "set with the first message after authentication"),
    Name(_CONN, "_auth_in_progress", "", "when a banner may be sent"),
    Name(_CONN, "_compressor", "", "none is offered; with one asyncssh's own way is taken"),
    Name(_CONN, "_decompressor", "", "as above"),
    Name(_CONN, "_deferred_packets", "", "messages that wait for new keys, or for authentication"),
    Name(_CONN, "_ignore_first_kex", "", "a guessed message of the key exchange is passed over"),
    Name(_CONN, "_inpbuf", "", "bytes received"),
    Name(_CONN, "_kex", "", "who takes messages of the key exchange"),
    Name(_CONN, "_kex_complete", "", "whether messages may be sent"),
    Name(_CONN, "_kexinit_sent", "", "set when new keys were asked for"),
    Name(_CONN, "_max_recv_pktlen", "", "bound on the length of a packet"),
    Name(_CONN, "_recv_encryption", "", "the key in use, from the client"),
    Name(_CONN, "_recv_handler", "", "what takes the next packet"),
    Name(_CONN, "_recv_seq", "", "number of the next packet of the client"),
    Name(_CONN, "_rekey_bytes", "", "when new keys are due"),
    Name(_CONN, "_rekey_bytes_sent", "", "counted as asyncssh counts it"),
    Name(_CONN, "_rekey_seconds", "", "when new keys are due"),
    Name(_CONN, "_rekey_time", "", "when new keys are due"),
    Name(_CONN, "_send_encryption", "", "the key in use, to the client"),
    Name(_CONN, "_send_seq", "", "number of our next packet"),
    Name(_CONN, "_strict_kex", "", "numbers begin anew with new keys"),
    Name(_CHANNEL, "write", "1045e2000846", "replaced: data is kept as it came"),
    Name(_CHANNEL, "_flush_send_buf", "3f11e9dc27c5", "extended: what the window takes goes in one write"),
    Name(_CHANNEL, "_accept_data", "33121e9e185c", "called: data of the client within its window"),
    Name(_CHANNEL, "_process_window_adjust", "7a2e4c4998e0", "followed: a window opens"),
    Name(_CHANNEL, "_deliver_data", "bd94ccbaa59a", "relied on: opens the window again"),
    Name(_CHANNEL, "_close_send", "5dcbc60194d9", "relied on: forgets what is unsent"),
    Name(_CHANNEL, "_conn", "", "the connection; None when it has ended"),
    Name(_CHANNEL, "_recv_state", "", "whether the client may send data"),
    Name(_CHANNEL, "_recv_window", "", "how much"),
    Name(_CHANNEL, "_send_buf", "", "data that waits for the client's window"),
    Name(_CHANNEL, "_send_buf_len", "", "how much"),
    Name(_CHANNEL, "_send_chan", "", "the client's number of the channel; None when it is closed"),
    Name(_CHANNEL, "_send_pktsize", "", "largest data of one message"),
    Name(_CHANNEL, "_send_state", "", "whether data may be sent"),
    Name(_CHANNEL, "_send_window", "", "how much"),
    Name(_CHANNEL, "_write_datatypes", "", "extended types that may be sent"),
    Name("packet.SSHPacketLogger", "log_sent_packet", "d21306e3c6b2", "replaced: does nothing"),
    Name("packet.SSHPacketLogger", "log_received_packet", "38e8df0c0c53", "replaced: does nothing"),
    Name("encryption.GCMEncryption", "_cipher", "", "what holds key and nonce"),
    Name("encryption.ChachaEncryption", "_cipher", "", "what holds the keys"),
    Name("crypto.cipher.GCMCipher", "_key", "", "the key"),
    Name("crypto.cipher.GCMCipher", "_iv", "", "the first nonce"),
    Name("crypto.cipher.GCMCipher", "_update_iv", "bce250a8d9dc", "relied on: how nonces follow each other"),
    Name("crypto.chacha.ChachaCipher", "_key", "", "the key of packets"),
    Name("crypto.chacha.ChachaCipher", "_adkey", "", "the key of their lengths"),
    Name("crypto.chacha.ChachaCipher", "encrypt_and_sign", "f9b87e561498", "relied on: what a packet looks like"),
)  # fmt: skip
