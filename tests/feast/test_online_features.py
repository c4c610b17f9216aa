"""What an answer of Feast's is worth: a row is what Feast has, by name, or it is refused."""

import importlib.util
import math
import sys
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.feast.conftest import ANSWERS, PROGRAM
from tests.feast.customers import FEATURES, IDS, OLD, rows


def loaded() -> Any:
    path = PROGRAM.with_name("online_features.py")
    found = importlib.util.spec_from_file_location("online_features", path)
    assert found is not None
    assert found.loader is not None
    module = importlib.util.module_from_spec(found)
    sys.modules[found.name] = module  # its dataclasses look themselves up there
    found.loader.exec_module(module)
    return module


online = loaded()
NOW = datetime(2026, 1, 2, tzinfo=UTC)
WANTED = online.Wanted(entity="customer_id", names=FEATURES)
CELLS = st.sampled_from(
    [(1.5, "PRESENT"), (0, "PRESENT"), (True, "PRESENT"), (None, "PRESENT"), (math.nan, "PRESENT"),
     (math.inf, "PRESENT"), (1e39, "PRESENT"), ("a", "PRESENT"), ([1.0], "PRESENT"), (None, "NOT_FOUND"),
     (2.5, "OUTSIDE_MAX_AGE"), (2.5, "NULL_VALUE"), (2.5, "INVALID")]
)  # fmt: skip


def test_by_service_or_by_name_the_columns_are_the_models() -> None:
    by_service = online.Wanted(entity="customer_id", names=FEATURES, service="fraud")
    asked = ANSWERS["by service"]
    ids = asked["asked"]["entities"]["customer_id"]
    assert online.question(by_service, ids) == asked["asked"]
    found = online.rows(by_service, ids, asked["answer"], now=NOW)
    wanted = [rows().tolist()[IDS.index(one)] for one in ids]
    assert found == [pytest.approx(row) for row in wanted]


@pytest.mark.parametrize("datatype", ["FP32", "FP64"])
@pytest.mark.parametrize("value", [10**400, -math.inf, math.nan])
def test_a_number_that_no_float_holds_is_refused_by_its_feature(datatype: str, value: Any) -> None:
    wanted = online.Wanted(entity="customer_id", names=FEATURES, datatype=datatype)
    answer = told([[(value, "PRESENT")]] * 4, [*FEATURES])
    with pytest.raises(online.RefusedError, match=f"orders:amount_30d is .*no {datatype}"):
        online.rows(wanted, (7,), answer, now=NOW)


def told(cells: list[list[tuple[Any, str]]], order: list[str]) -> dict[str, Any]:
    """Cells by feature and id, as Feast answers them in this order."""
    at = [FEATURES.index(name) for name in order]
    columns = [
        {
            "values": [value for value, _ in cells[n]],
            "statuses": [status for _, status in cells[n]],
            "event_timestamps": ["2026-01-01T00:00:00Z"] * len(cells[n]),
        }
        for n in at
    ]
    return {
        "metadata": {"feature_names": [n.replace(":", "__") for n in order]},
        "results": columns,
    }


@settings(max_examples=60, deadline=None)
@given(
    cells=st.lists(st.lists(CELLS, min_size=2, max_size=2), min_size=4, max_size=4),
    order=st.permutations(FEATURES),
)
def test_a_row_is_what_feast_has_by_name_or_refused_by_the_feature_and_the_entity(
    cells: list[list[tuple[Any, str]]], order: list[str]
) -> None:
    def good(value: Any, status: str) -> bool:
        return status == "PRESENT" and isinstance(value, int | float) and abs(value) < 1e38

    bad = [(one, name) for at, one in enumerate((7, 8)) for name, column in zip(FEATURES, cells, strict=True)
           if not good(*column[at])]  # fmt: skip
    answer = told(cells, order)
    if not bad:
        found = online.rows(WANTED, (7, 8), answer, now=NOW)
        assert found == [[column[at][0] for column in cells] for at in (0, 1)]
        return
    one, name = bad[0]
    with pytest.raises(online.RefusedError, match=f"^customer_id {one}: {name} is ") as refused:
        online.rows(WANTED, (7, 8), answer, now=NOW)
    assert refused.value.status in {404, 422}


@pytest.mark.parametrize(("most_s", "refused"), [(0.0, False), (86400.0, False), (86399.0, True)])
def test_a_value_may_be_as_old_as_the_policy_says(most_s: float, refused: bool) -> None:
    wanted = online.Wanted(entity="customer_id", names=FEATURES, max_age_s=most_s)
    answer = told([[(1.0, "PRESENT")]] * 4, [*FEATURES])
    if refused:
        with pytest.raises(
            online.RefusedError, match=r"7: orders:amount_30d is of 2026-01-01T00:00:00Z"
        ):
            online.rows(wanted, (7,), answer, now=NOW)
    else:
        assert online.rows(wanted, (7,), answer, now=NOW) == [[1.0] * 4]


def test_what_feast_hands_out_beyond_its_age_is_refused_with_its_time() -> None:
    wanted = online.Wanted(entity="customer_id", names=FEATURES, max_age_s=3600)
    answer, now = ANSWERS["old"]["answer"], datetime.now(UTC)
    with pytest.raises(
        online.RefusedError, match=r"2002: orders:amount_30d is of 20.* older than 3600 s"
    ):
        online.rows(wanted, (OLD,), answer, now=now)
    by_another = online.Wanted(entity="customer_id", names=("orders:mean",))
    with pytest.raises(online.RefusedError, match=r"2002: orders:mean: .*else than features"):
        online.rows(by_another, (OLD,), answer, now=now)


@pytest.mark.parametrize("count", [0, 2])
def test_an_answer_of_another_number_of_entities_is_no_answer(count: int) -> None:
    answer = told([[(1.0, "PRESENT")] * count] * 4, [*FEATURES])
    with pytest.raises(online.RefusedError, match="something else than features"):
        online.rows(WANTED, (7,), answer, now=NOW)
