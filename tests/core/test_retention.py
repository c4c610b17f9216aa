"""Which published repositories may go."""

from hypothesis import given
from hypothesis import strategies as st

from tidegate.core.retention import RELEASE, Publication, fates

DAY = 86400.0
NOW = 1_000 * DAY


def one(service: str, version: int, *, age_d: float, whole: bool = True) -> Publication:
    path = f"{service}/{version}-{version:012x}"
    return Publication(
        path=path, uri=f"s3://models/{path}/", published_s=NOW - age_d * DAY, size=1, is_whole=whole
    )


def gone(found: list[Publication], mentioned: str = "", *, keep: int = 2) -> list[str]:
    judged = fates(found, mentioned, keep=keep, min_age_s=DAY, now_s=NOW)
    assert [fate.publication for fate in judged if fate.publication not in found] == []
    return sorted(fate.publication.path.split("-")[0] for fate in judged if fate.goes)


def test_the_newest_of_each_service_stay() -> None:
    found = [one(name, n, age_d=100 - n) for name in ("a", "b") for n in range(1, 5)]
    assert gone(found) == ["a/1", "a/2", "b/1", "b/2"]


def test_what_anything_names_stays_with_or_without_its_slash() -> None:
    found = [one("a", n, age_d=100 - n) for n in range(1, 6)]
    named = f'{{"spec": "{found[0].uri}"}} {found[1].uri.rstrip("/")}'
    assert gone(found, named) == ["a/3"]


def test_what_is_named_by_another_uri_of_the_same_storage_stays() -> None:
    found = [one("a", n, age_d=100 - n) for n in range(1, 5)]
    assert gone(found, f"pvc://models/{found[0].path}/") == ["a/2"]


def test_the_rest_of_an_upload_goes_when_it_is_old_and_takes_nobodys_place() -> None:
    found = [
        one("a", 1, age_d=30), one("a", 2, age_d=20), one("a", 3, age_d=10, whole=False),
        one("a", 4, age_d=0.5, whole=False),
    ]  # fmt: skip
    assert gone(found) == ["a/3"]


def test_what_is_young_stays_however_many_there_are() -> None:
    assert gone([one("a", n, age_d=0.5) for n in range(9)]) == []


@given(
    st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 50), st.booleans()), max_size=12),
    st.sets(st.integers(0, 11)),
    st.integers(2, 4),
)
def test_nothing_named_goes_and_of_the_whole_ones_at_least_keep_stay(
    drawn: list[tuple[str, int, bool]], named: set[int], keep: int
) -> None:
    found = [one(name, n, age_d=age, whole=whole) for n, (name, age, whole) in enumerate(drawn)]
    mentioned = " ".join(found[n].uri for n in named if n < len(found))
    judged = fates(found, mentioned, keep=keep, min_age_s=DAY, now_s=NOW)
    assert not [fate for fate in judged if fate.goes and fate.publication.uri in mentioned]
    for service in "ab":
        whole = [f for f in judged if f.publication.service == service and f.publication.is_whole]
        assert sum(not fate.goes for fate in whole) >= min(keep, len(whole))


def test_only_names_that_publish_gives_are_looked_at() -> None:
    assert RELEASE.fullmatch("digits/3-0123456789ab")
    for path in (
        "digits/3",
        "digits/3-0123",
        "digits",
        "digits/3-0123456789ab/x",
        "/3-0123456789ab",
    ):
        assert not RELEASE.fullmatch(path)
