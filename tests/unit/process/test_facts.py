"""Facts of the process, from the kernel or, without its tables, as zeros."""

import ipaddress
import os
import threading

from teleport.process import facts


def test_facts_of_this_process():
    now = facts.look()
    assert now.cpu_seconds > 0
    assert 1_000_000 < now.resident < now.virtual
    assert 0 < now.descriptors <= now.descriptors_limit
    assert now.threads >= threading.active_count()
    assert now.cpus == os.cpu_count()


def test_a_system_without_the_tables_gives_zeros(tmp_path):
    now = facts.look(tmp_path)
    assert (now.resident, now.virtual, now.descriptors, now.start_time) == (0, 0, 0, 0)
    assert now.threads == threading.active_count()


def test_the_machine_s_own_address_is_one_or_none():
    """Without a network there is none, and that is no error."""
    found = facts.outward_address()
    assert not found or ipaddress.ip_address(found).version == 4
