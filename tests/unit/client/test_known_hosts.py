"""`known_hosts`: lines of one cluster are replaced; those of others and of the user stay as they are."""

from teleport.base.disk import MemoryDisk
from teleport.client import known_hosts

PATH = "/known_hosts"


def lines(disk):
    return disk.read(PATH).decode("utf-8", "surrogateescape").splitlines()


def test_line_names_the_cluster_and_its_hosts():
    (line,) = known_hosts.lines("proxy.example.com", "c.example", ["ssh-ed25519 AAAA a comment\nand another line"])
    hosts = "proxy.example.com,c.example,*.c.example"
    assert line == f"@cert-authority {hosts} ssh-ed25519 AAAA type=host&clustername=c.example"


def test_only_the_cluster_itself_is_replaced():
    disk = MemoryDisk()
    disk.write(PATH, b"host ssh-ed25519 AAAA\nhost \xff type=host&clustername=b\n")
    known_hosts.replace(disk, PATH, "a", known_hosts.lines("p", "a", ["k 1"]))
    known_hosts.replace(disk, PATH, "a", known_hosts.lines("p", "a", ["k 2", "k 3"]))
    assert lines(disk) == [
        "host ssh-ed25519 AAAA", "host \udcff type=host&clustername=b",
        "@cert-authority p,a,*.a k 2 type=host&clustername=a", "@cert-authority p,a,*.a k 3 type=host&clustername=a",
    ]  # fmt: skip
    known_hosts.remove(disk, PATH, "a")
    assert len(lines(disk)) == 2
    assert disk.mode(PATH) == 0o600


def test_cluster_whose_name_ends_like_another():
    disk = MemoryDisk()
    for name in ("a", "x.a"):
        known_hosts.replace(disk, PATH, name, known_hosts.lines("p", name, ["k 1"]))
    known_hosts.remove(disk, PATH, "a")
    assert [line.endswith("clustername=x.a") for line in lines(disk)] == [True]


def test_no_file_is_made_to_remove_something():
    disk = MemoryDisk()
    known_hosts.remove(disk, PATH, "a")
    assert not disk.exists(PATH)
