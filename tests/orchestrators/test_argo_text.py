"""What Argo writes within text, read as Argo reads it; what cannot be read is refused."""

import pytest

from tidegate.errors import DocumentError
from tidegate.orchestrators.argo_text import chosen, filled, holds, seconds, tried_again

SCOPE = {
    "inputs.parameters.verdict": "PASS",
    "tasks.promote.outputs.parameters.outcome": "it's 'PROMOTED'",
}
CHOICE = (
    "inputs.parameters.verdict == '{}' ? tasks.promote.outputs.parameters.outcome : "
    "tasks['roll-back'].outputs.parameters.outcome"
)


def test_a_reference_is_replaced_by_its_value_whatever_that_is() -> None:
    text = "--reason={{tasks.promote.outputs.parameters.outcome}} as {{inputs.parameters.verdict}}"
    assert filled(text, SCOPE) == "--reason=it's 'PROMOTED' as PASS"


@pytest.mark.parametrize(
    ("when", "runs"),
    [
        ("{{inputs.parameters.verdict}} == PASS", True),
        ("{{inputs.parameters.verdict}} != PASS", False),
        ("manual == manual && {{inputs.parameters.verdict}} == FAIL", False),
    ],
)
def test_a_condition_compares_words(when: str, runs: bool) -> None:
    assert holds(when, SCOPE) is runs


def test_of_a_choice_only_the_branch_that_ran_has_to_be_known() -> None:
    assert chosen(CHOICE.format("PASS"), SCOPE) == "it's 'PROMOTED'"
    with pytest.raises(DocumentError, match="roll-back"):
        chosen(CHOICE.format("FAIL"), SCOPE)


@pytest.mark.parametrize("code", [0, 1, 4, 6, 7, 75, 137])
def test_only_the_code_that_is_named_is_tried_again(code: int) -> None:
    assert tried_again("asInt(lastRetry.exitCode) == 75", code) is (code == 75)


def test_a_duration_is_in_seconds_unless_it_says_otherwise() -> None:
    assert [seconds(one) for one in ("30", "30s", "10m", "2h")] == [30, 30, 600, 7200]


def test_what_cannot_be_read_is_refused() -> None:
    for read in (
        lambda: filled("{{tasks.nowhere.outputs.parameters.x}}", SCOPE),
        lambda: holds("PASS || FAIL", SCOPE),
        lambda: chosen("upper('a')", SCOPE),
        lambda: tried_again("true", 1),
        lambda: seconds("a day"),
    ):
        with pytest.raises(DocumentError):
            read()
