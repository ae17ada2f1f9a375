"""access.denial: reasons are computed when they are read, and once."""

from teleport.access.action import Connect
from teleport.access.denial import Denial, Reasons, Step
from tests.support.policy import caller, conditions


def test_reasons_are_lazy_and_kept():
    asked = []
    step = Step(condition="ip", matched=False, wanted="a", found="b")

    def reasons():
        asked.append("reasons")
        return Reasons((step,), step, ("help",))

    def shown():
        asked.append("visible")
        return False

    denial = Denial("POL-X", caller(), Connect("root"), "node", conditions(), reasons=reasons, visible=shown)
    assert repr(denial) == "Denial(POL-X, carol, Connect(login='root'))"
    assert (denial.fields, asked) == ({}, [])
    assert (denial.steps, denial.nearest, denial.succeed_if) == ((step,), step, ("help",))
    assert (denial.visible, denial.visible) == (False, False)
    assert asked == ["reasons", "visible"]
