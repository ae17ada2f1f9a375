"""What services lack that are running."""

from teleport.process.health import Health


def test_the_first_thing_that_is_missing_counts():
    health, lacks = Health(), ["", ""]
    assert health.problem("node") == ""
    health.follow("node", lambda: lacks[0], lambda: lacks[1])
    assert health.problem("node") == ""
    lacks[1] = "a tunnel"
    assert (health.problem("node"), health.problem("proxy")) == ("a tunnel", "")
    lacks[0] = "everything"
    assert health.problem("node") == "everything"
    health.follow("node", lambda: "")
    assert health.problem("node") == ""
