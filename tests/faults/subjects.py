"""The subjects of the kill tests, by name. How to add one: CONTRIBUTING.md, "Add a subject to the kill tests"."""

from __future__ import annotations

from typing import Final

from tests.faults.subject_audit import Audit
from tests.faults.subject_backup import Backups
from tests.faults.subject_files import Files, Keys
from tests.faults.subject_outbox import Outbox
from tests.faults.subject_recordings import Archive
from tests.faults.subject_sessions import Sessions
from tests.faults.subject_store import Store
from tests.faults.trial import Subject

SUBJECTS: Final[dict[str, Subject]] = {
    subject.name: subject for subject in (Store(), Audit(), Files(), Keys(), Backups(), Outbox(), Archive(), Sessions())
}
