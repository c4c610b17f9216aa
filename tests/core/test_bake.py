"""What is kept of the looks at a traffic step."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tidegate.core.bake import MOST_CHARACTERS, MOST_LOOKS, distilled, next_for_bake
from tidegate.core.decisions import Done, Refuse, Wait
from tidegate.documents import LiveLook, Word
from tidegate.policy import Traffic
from tidegate.steps.live_gate import LiveEvidence

WORDS = st.sampled_from([Word.PASS, Word.INCONCLUSIVE, Word.INVALID])


def look(n: int, word: Word) -> LiveLook:
    return LiveLook(at_s=float(n), word=word, requests=n, message=f"look {n} " + "x" * 300)


@settings(max_examples=60)
@given(st.lists(WORDS, max_size=120))
def test_what_is_kept_is_little_in_order_and_has_the_first_and_the_last(words: list[Word]) -> None:
    looks = [look(n, word) for n, word in enumerate(words)]
    kept = distilled(looks)
    assert len(kept) == min(len(looks), MOST_LOOKS)
    times = [one.at_s for one in kept]
    assert times == sorted(set(times))
    assert [one.at_s for one in looks[:1] + looks[-1:]] == times[:1] + times[-1:]
    assert max((len(one.message) for one in kept), default=0) <= MOST_CHARACTERS


def test_every_change_of_word_is_kept_with_its_message_and_no_other_message_is() -> None:
    words = [Word.INCONCLUSIVE] * 200 + [Word.PASS] * 3 + [Word.INVALID] + [Word.PASS] * 200
    kept = distilled([look(n, word) for n, word in enumerate(words)])
    assert [one.at_s for one in kept if one.message] == [0, 200, 203, 204]
    assert {one.word for one in kept} == {Word.INCONCLUSIVE, Word.PASS, Word.INVALID}


@pytest.mark.parametrize(
    ("word", "baked_s", "on_inconclusive", "decision"),
    [
        (Word.PASS, 5, "roll-back", Wait),
        (Word.PASS, 10, "roll-back", Done),
        (Word.FAIL, 0, "hold", Refuse),
        (Word.INCONCLUSIVE, 20, "roll-back", Wait),
        (Word.INCONCLUSIVE, 30, "roll-back", Refuse),
        (Word.INVALID, 30, "roll-back", Refuse),
        (Word.INCONCLUSIVE, 30, "hold", Wait),
        (Word.INVALID, 89, "hold", Wait),
        (Word.PASS, 60, "hold", Done),  # the evidence came while it was held
        (Word.INCONCLUSIVE, 90, "hold", Refuse),
        (Word.INVALID, 90, "hold", Refuse),
    ],
)
def test_a_bake_without_a_pass_ends_as_the_policy_says_and_never_goes_on(
    word: Word, baked_s: float, on_inconclusive: str, decision: type
) -> None:
    traffic = Traffic.model_validate(
        {"bake_s": 10, "max_bake_s": 30, "hold_s": 60, "on_inconclusive": on_inconclusive}
    )
    evidence = LiveEvidence(word=word, reason="because")
    found = next_for_bake(evidence, percent=10, baked_s=baked_s, traffic=traffic)
    assert isinstance(found, decision)
