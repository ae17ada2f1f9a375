"""Signals of a process of its own, with a loop that may be stuck. Rows S0-22 to S0-26.

Each test runs a small program, because signals belong to a whole process.
"""

import signal
import subprocess
import sys
import textwrap

import pytest

HEAD = """
import asyncio, signal, sys, threading, time
from teleport.base import log
from teleport.process import signals as module
from teleport.process.pulse import Pulse
from teleport.process.signals import Signals

log.setup(level={level!r})
PASSWORD = "hunter2-in-a-variable"

def say(text):
    print(text, flush=True)

async def wait_for_stop(signals, pulse, more={{}}):
    stop = asyncio.Event()
    beating = asyncio.get_running_loop().create_task(pulse.run())
    signals.attach({{signal.SIGTERM: stop.set, signal.SIGINT: stop.set, **more}})
    say("ready")
    await stop.wait()
    say("stopped")
"""
PLAIN = """
pulse = Pulse()
with Signals(pulse) as signals:
    asyncio.run(wait_for_stop(signals, pulse))
"""
STUCK = """
async def stuck(signals, pulse):
    secret_argument(PASSWORD, signals)
    await wait_for_stop(signals, pulse)

def secret_argument(password, signals):
    say("ready")
    while not done.is_set():
        pass

done = threading.Event()
def release():
    if sys.stdin.readline():
        done.set()
threading.Thread(target=release, daemon=True).start()
pulse = Pulse()
with Signals(pulse) as signals:
    async def main():
        signals.attach({})
        await stuck(signals, pulse)
    asyncio.run(main())
"""


class Program:
    """A running program. Ended by its pid at the end of the block."""

    def __init__(self, body, level="INFO"):
        self.source = HEAD.format(level=level) + textwrap.dedent(body)

    def __enter__(self):
        self.process = subprocess.Popen(
            [sys.executable, "-c", self.source], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        self.expect("ready")
        return self

    def __exit__(self, *ended):
        self.process.kill()
        self.process.communicate()

    def expect(self, word):
        line = self.process.stdout.readline().decode().strip()
        assert line == word, line + self.process.stderr.read().decode()

    def send(self, number):
        self.process.send_signal(number)

    def lines(self, until):
        """Read stderr up to a line that contains `until`."""
        found = []
        while not found or until not in found[-1]:
            line = self.process.stderr.readline().decode()
            assert line, f"{until!r} never came:\n{''.join(found)}"
            found.append(line.rstrip("\n"))
        return found

    def end(self):
        """Read the rest and return it with the exit status."""
        _, err = self.process.communicate(timeout=30)
        return err.decode(), self.process.returncode


@pytest.mark.parametrize("level", ["INFO", "DEBUG"])
def test_usr1_is_announced_and_answered_and_the_process_runs_on(level):
    """S0-22, S0-23, S0-26."""
    with Program(PLAIN, level) as program:
        for _ in range(2):
            program.send(signal.SIGUSR1)
            found = program.lines("in task Task-1")
            (line,) = [line for line in found if "Got signal" in line]
            text = 'INFO [PROC:1]    Got signal "user defined signal 1", logging diagnostic info to stderr. '
            assert text in line
            assert line.rpartition(text)[2].startswith("process/signals.py:")
            assert found[found.index(line) + 1] == "Runtime stats"
            assert "goroutine 1 [running]:" in found
        program.send(signal.SIGTERM)
        program.expect("stopped")
        err, status = program.end()
        assert status == 0
        assert 'Got signal "terminated", exiting immediately.' in err


def test_usr1_shows_a_stuck_loop_and_no_values():
    """S0-25: what the seed says a dump is for."""
    with Program(STUCK) as program:
        program.send(signal.SIGUSR1)
        found = program.lines("in thread MainThread")
        program.process.stdin.write(b"\n")
        text = "\n".join(found)
        assert "secret_argument(...)" in text[text.index("goroutine 2 [running]:") :]
        assert "hunter2" not in text


def test_usr2_is_for_the_loop():
    with Program(PLAIN.replace("pulse))", "pulse, {signal.SIGUSR2: lambda: say('second')}))")) as program:
        program.send(signal.SIGUSR2)
        program.expect("second")
        program.send(signal.SIGINT)
        program.expect("stopped")
        assert program.end()[1] == 0


def test_a_stuck_loop_does_not_keep_the_process_from_ending():
    body = "module.STUCK = module.STOP_WITHIN = 0.2\n" + STUCK
    with Program(body) as program:
        program.send(signal.SIGTERM)
        err, status = program.end()
        assert status == 1
        assert "did not stop in time" in err
        assert "secret_argument(...)" in err


def test_a_second_term_waits_for_nothing():
    with Program(STUCK) as program:
        program.send(signal.SIGTERM)
        program.lines("exiting immediately")
        program.send(signal.SIGTERM)
        err, status = program.end()
        assert status == 128 + signal.SIGTERM
        assert "again" in err


def test_signals_before_the_loop_are_kept_for_it():
    body = """
    pulse = Pulse()
    with Signals(pulse) as signals:
        say("ready")
        sys.stdin.readline()
        asyncio.run(wait_for_stop(signals, pulse))
    """
    with Program(body) as program:
        program.send(signal.SIGTERM)
        program.process.stdin.write(b"\n")
        program.process.stdin.flush()
        program.expect("ready")
        program.expect("stopped")
        assert program.end()[1] == 0


def test_actions_run_in_the_loop_and_former_handlers_come_back():
    body = """
    pulse = Pulse()
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    def reloaded():
        asyncio.get_running_loop()
        say("reloaded")
    with Signals(pulse) as signals:
        asyncio.run(main(signals, pulse))
    say("ignored" if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN else "changed")
    say("none" if signal.set_wakeup_fd(-1) == -1 else "left")
    """
    main = """
    async def main(signals, pulse):
        stop = asyncio.Event()
        signals.attach({signal.SIGHUP: reloaded, signal.SIGQUIT: stop.set})
        say("ready")
        await stop.wait()
    """
    with Program(textwrap.dedent(main) + textwrap.dedent(body)) as program:
        program.send(signal.SIGHUP)
        program.expect("reloaded")
        program.send(signal.SIGQUIT)
        program.expect("ignored")
        program.expect("none")
        assert program.end()[1] == 0
