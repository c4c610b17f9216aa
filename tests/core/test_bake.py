"""What is kept of the looks at a traffic step."""

from hypothesis import given, settings
from hypothesis import strategies as st

from tidegate.core.bake import MOST_CHARACTERS, MOST_LOOKS, distilled
from tidegate.documents import LiveLook, Word

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
