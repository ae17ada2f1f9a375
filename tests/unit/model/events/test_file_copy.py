"""Codes of the events of file copy follow from what they say."""

import pytest

from teleport.model.events.base import decode, document, encode
from teleport.model.events.file_copy import Action, Scp, Sftp, SftpSummary


@pytest.mark.parametrize(
    ("event", "code"),
    [
        (Sftp(action=Action.OPEN, path="/f"), "TS001I"),
        (Sftp(action=Action.LINK, path="/f", error="no"), "TS019E"),
        (Sftp(action=Action.DISALLOWED, error="your roles do not allow it", decision_id="d"), "TS020E"),
        (SftpSummary(), "TS021I"),
        (Scp(path="/f", action="download", exit_code="0"), "T3004I"),
        (Scp(path="/f", action="download", exit_code="1"), "T3004E"),
        (Scp(path="/f", action="upload", exit_code="0"), "T3005I"),
        (Scp(path="/f", action="upload", exit_code="255", exit_error="not started"), "T3005E"),
        (Scp(path="/f", action="disallowed", decision_id="d"), "T3010E"),
    ],
)
def test_the_code_follows(event, code):
    assert event.code == code
    assert event.failed() is code.endswith("E")
    assert decode(encode(event)) == event
    assert document(event)["event"] in ("sftp", "sftp_summary", "scp")
