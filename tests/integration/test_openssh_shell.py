"""Stock OpenSSH at a terminal of the SSH Service: shells, keys, sizes and ends."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from teleport.agents.ssh.service import SSHService
from tests.support.ssh_node import LOGIN, Client, World
from tests.support.tapes import FakeRecorder
from tests.support.terminal import Terminal
from tests.support.until import until

Scene = Callable[[SSHService], Awaitable[None]]
Play = Callable[..., None]
SHELL = "PS1='> ' exec sh -i"
"""A shell whose prompt no file of the account changes."""
SCREEN = """
import curses
def main(window):
    window.addstr(3, 5, "full screen %dx%d" % (curses.COLS, curses.LINES))
    window.refresh()
    while (key := window.getch()) != ord("q"):
        if key == curses.KEY_RESIZE:
            curses.update_lines_cols()
            window.addstr(4, 5, "now %dx%d" % (curses.COLS, curses.LINES))
            window.refresh()
curses.wrapper(main)
"""


async def at_terminal(
    client: Client, node: SSHService, command: str | None, story: Callable[[Terminal], object], *, status: int = 0,
    size: tuple[int, int] = (80, 24), term: str = "xterm",
) -> None:  # fmt: skip
    """Play a story at a terminal that runs `ssh -tt`."""
    argv = ["ssh", "-tt", *client.options(node.address), f"{LOGIN}@node-1", *([command] if command else [])]

    def play() -> None:
        environment = {**os.environ, "HOME": str(client.folder), "TERM": term}
        with Terminal(argv, environment, status=status, size=size) as terminal:
            story(terminal)

    await asyncio.to_thread(play)


def test_a_login_shell_with_its_size_and_its_ends(play: Play, client: Client, world: World) -> None:
    def story(terminal: Terminal) -> None:
        terminal.type("stty size; echo shell=$0 term=$TERM; exit 5\n")
        terminal.see("43 132\r\n")
        terminal.see("shell=-")
        terminal.see("term=xterm-256color")

    async def scene(node: SSHService) -> None:
        await at_terminal(client, node, None, story, status=5, size=(132, 43), term="xterm-256color")
        (start,), (end,) = await world.wait_for("T2000I"), await world.wait_for("T2004I")
        assert (start["event"], start["size"], start["session_recording"]) == ("session.start", "132:43", "off")
        assert not start.get("initial_command")
        assert (end["event"], end["interactive"], end["participants"]) == ("session.end", True, ("alice",))
        assert (end["sid"], end["user"], end["login"]) == (start["sid"], "alice", LOGIN)
        assert world.told("T3002I") == [], "a shell is no command"

    play(scene)


def test_a_new_size_arrives_and_is_recorded(play: Play, client: Client, world: World) -> None:
    command = "trap 'stty size; exit 7' WINCH; stty size; while :; do sleep 0.1; done"

    def story(terminal: Terminal) -> None:
        terminal.see("24 80\r\n")
        terminal.resize(101, 33)
        terminal.see("33 101\r\n")

    recorder = FakeRecorder()

    async def scene(node: SSHService) -> None:
        await at_terminal(client, node, command, story, status=7)
        (event,) = await world.wait_for("T2002I")
        assert (event["event"], event["size"]) == ("resize", "101:33")
        (tape,) = recorder.tapes
        assert tape.sizes == [(101, 33)]
        assert (tape.facts.columns, tape.facts.rows, tape.facts.interactive) == (80, 24, True)

    play(scene, recorder=recorder)


def test_keys_reach_the_job_in_the_foreground(play: Play, client: Client) -> None:
    def story(terminal: Terminal) -> None:
        terminal.see("> ")
        terminal.type("sh -c 'echo run''ning; exec sleep 1000'\n")
        terminal.see("running")  # said by the job itself: it has the terminal
        terminal.type("\x03")
        terminal.see("^C")
        terminal.see("> ")
        terminal.type("echo still $((40 + 2))\n")
        terminal.see("still 42")
        terminal.see("> ")
        terminal.type("\x04")

    async def scene(node: SSHService) -> None:
        await at_terminal(client, node, SHELL, story)

    play(scene)


def test_the_terminal_is_the_users(play: Play, client: Client) -> None:
    command = "tty; stat -c 'owner=%U mode=%a' $(tty); test $(tty) = $SSH_TTY && echo same; ps -o tty= -p $$"

    def story(terminal: Terminal) -> None:
        terminal.see("/dev/pts/")
        terminal.see(f"owner={LOGIN} mode=620")
        terminal.see("same")
        terminal.see("pts/")

    async def scene(node: SSHService) -> None:
        await at_terminal(client, node, command, story)

    play(scene)


def test_a_program_of_the_full_screen(play: Play, client: Client, tmp_path: Path) -> None:
    program = tmp_path / "screen.py"
    program.write_text(SCREEN)

    def story(terminal: Terminal) -> None:
        terminal.see("full screen 90x30")
        terminal.resize(70, 20)
        terminal.see("now 70x20")
        terminal.type("q")

    async def scene(node: SSHService) -> None:
        await at_terminal(client, node, f"exec {sys.executable} {program}", story, size=(90, 30))

    play(scene)


def test_all_output_comes_before_the_status(play: Play, client: Client) -> None:
    async def scene(node: SSHService) -> None:
        status, out, _ = await client.run(node, "-tt", "--", "stty -opost; seq 1 200000; exit 9")
        assert status == 9
        assert out == "".join(f"{number}\n" for number in range(1, 200001)).encode()

    play(scene)


def test_what_a_shell_leaves_behind_does_not_keep_the_session(play: Play, client: Client, world: World) -> None:
    async def scene(node: SSHService) -> None:
        status, _, _ = await client.run(node, "-tt", "--", "sleep 1000 & exit 3")
        assert status == 3
        await world.wait_for("T2004I")

    play(scene)


@pytest.mark.parametrize("option", ["-tt", "-T"])
def test_input_that_is_no_terminal(play: Play, client: Client, option: str) -> None:
    async def scene(node: SSHService) -> None:
        status, out, _ = await client.run(node, option, stdin=b"echo $((6 * 7))\nexit 4\n")
        assert status == 4
        assert b"42" in out
        status, out, _ = await client.run(node, option, "--", "cat", stdin=b"no end of line")
        assert status == 0
        assert b"no end of line" in out

    play(scene)


def test_a_client_that_goes_away_hangs_up_its_shell(
    play: Play, client: Client, world: World, tmp_path: Path
) -> None:  # fmt: skip
    marker = tmp_path / "pid"

    async def scene(node: SSHService) -> None:
        argv = ["ssh", "-tt", *client.options(node.address), f"{LOGIN}@node-1", SHELL]
        process = await asyncio.create_subprocess_exec(
            *argv, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL
        )
        assert process.stdin is not None
        process.stdin.write(f"sh -c 'echo $$ > {marker}; exec sleep 1000'\n".encode())
        await until(lambda: marker.exists() and marker.read_text().strip())
        process.kill()
        await process.wait()
        await until(lambda: not Path(f"/proc/{marker.read_text().strip()}").exists())
        await world.wait_for("T2004I")
        assert world.trackers == {}

    play(scene)


def test_sixty_four_sessions_of_one_connection(play: Play, client: Client, world: World, tmp_path: Path) -> None:
    async def scene(node: SSHService) -> None:
        control = ["-o", f"ControlPath={tmp_path}/m"]
        master = ["-o", "ControlMaster=yes", "-o", "ControlPersist=yes"]
        assert (await client.run(node, *control, *master, "-fN"))[0] == 0
        try:
            gate = tmp_path / "gate"
            command = f"tty; until [ -e {gate} ]; do sleep 0.2; done; exit 2"
            running = [
                asyncio.get_running_loop().create_task(client.run(node, *control, "-tt", "--", command))
                for _ in range(64)
            ]
            await until(lambda: len(world.trackers) == 64, seconds=60)
            _, _, err = await client.run(node, *control, "-o", "BatchMode=yes", "-v", "--", "true")
            assert "mux_client_request_session: session request failed" in err
            (event,) = world.told("T1006W")
            assert (event["reason"], event["max"]) == ("channels", 64)
            gate.touch()
            done = await asyncio.gather(*running)
            assert {status for status, _, _ in done} == {2}
            assert len({out for _, out, _ in done}) == 64, "each has a terminal of its own"
        finally:
            with contextlib.suppress(TimeoutError):
                await client.run(node, *control, "-O", "exit")
        await until(lambda: world.trackers == {})

    play(scene)
