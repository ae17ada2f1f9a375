"""Output `application`."""

from __future__ import annotations

import io

from teleport.base.struct import Switch
from teleport.bot.outputs.application import ApplicationService
from teleport.bot.outputs.certified import NAMES
from teleport.model.config.tbot_destinations import DirectoryDestination
from teleport.model.config.tbot_services import ApplicationOutput
from tests.support.bot_outputs import Issuing, Place, generate, means
from tests.support.log_lines import said as said


def generated(*, named: bool, bot: Issuing | None = None) -> Place:
    place, bot = Place(), bot or Issuing()
    section = ApplicationOutput(
        destination=DirectoryDestination(path=place.folder), app_name="grafana", specific_tls_naming=Switch(named),
        roles=("apps",),
    )  # fmt: skip
    service = ApplicationService(section, name="application-output-1", ttl=3600.0, interval=1200.0, means=means(place))
    generate(service, bot)
    return place


def test_the_certificate_is_for_the_application() -> None:
    bot = Issuing()
    place = generated(named=False, bot=bot)
    (asked,) = bot.asked
    assert (asked.app, asked.roles, asked.allow_reissue) == ("grafana", ("apps",), False)
    assert set(place.files) == set(NAMES)


def test_the_usual_names_of_tls_are_there_if_wanted() -> None:
    place = generated(named=True)
    assert set(place.files) == {*NAMES, "tls.crt", "tls.key", "tls.cas"} == set(place.names)
    assert place.files["tls.crt"] == place.files["tlscert"]
    assert place.files["tls.key"] == place.files["key"]
    assert place.files["tls.cas"] == place.files["teleport-host-ca.crt"] != b""


def test_the_log_says_it(said: io.StringIO) -> None:
    generated(named=False)
    line = "Successfully renewed impersonated certificates for directory /opt/machine-id, valid: after="
    assert line in said.getvalue()
