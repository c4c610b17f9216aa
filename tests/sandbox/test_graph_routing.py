"""What the router of an InferenceGraph decides: KServe's rules in tables, and walks over known answers."""

import asyncio
import json
import re
from collections import Counter
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tidegate.sandbox.router import gjson, routing
from tidegate.sandbox.router.routing import Answer, RoutingError, Step
from tidegate.sandbox.router.walk import Walk

DOCUMENT = {
    "source": "client",
    "none": None,
    "a.b": 1,
    "instances": [
        {"intval": 5, "strval": "blue-server-1", "ok": False},
        {"intval": 12, "strval": "red-server-2", "ok": True, "of": {"kind": "cat"}},
    ],
    "predictions": [[0.1, 0.9]],
}


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("source", True),
        ("other", False),
        ("none", True),  # a null that is there exists
        ("source.deeper", False),
        (r"a\.b", True),
        ("instances.1", True),
        ("instances.2", False),
        ("instances.1.of.kind", True),
        ("instances.#", True),
        ("source.#", False),
        ("instances.#.nobody", True),  # an empty list is there
        ("predictions.0.1", True),
        ("@this", True),
        ("", False),
        # the three of KServe's own sample, docs/samples/graph/switch.yaml
        ("[@this].#(source==client)", True),
        ("[@this].#(source==server)", False),
        ("instances.#(intval>10)", True),
        ("instances.#(intval>12)", False),
        ("instances.#(strval%*red-server*)", True),
        ("instances.#(strval%green*)", False),
        ('instances.#(strval != "blue-server-1")', True),
        ("instances.#(ok==true)", True),
        ("instances.#(ok<true)", True),
        ("instances.#(of)", True),
        ("instances.#(nobody)", False),
        ("instances.#(of.kind=cat).of", True),
        ("instances.#(intval=5).of", False),  # the first that matches, and it has none
        ("instances.#(intval=word)", False),
        ("predictions.0.#(>0.8)", True),
        ("predictions.0.#(>0.9)", False),
    ],
)
def test_a_condition_holds_when_its_gjson_path_finds_something(path: str, found: bool) -> None:
    assert gjson.unsupported(path) == ""
    assert gjson.exists(DOCUMENT, path) is found


@pytest.mark.parametrize(
    "path",
    ["inst*", "a|b", "@reverse", "[a,b]", "{a,b}", "{ .input.userId == 1 }", "a.#(b>1)#", "a[0]",
     "a.#(b.#(c==1))", "a.#(~true)", "a.@keys", "a..b"],
)  # fmt: skip
def test_what_else_gjson_knows_is_refused_by_name(path: str) -> None:
    assert repr(path) in gjson.unsupported(path)


@pytest.mark.parametrize("text", [b"", b"{", b"NaN", b'{"a": Infinity}', b"\xff"])
def test_what_go_takes_for_no_json_is_none(text: bytes) -> None:
    with pytest.raises(ValueError, match=r"JSON|Expecting|decode"):
        gjson.parsed(text)


SPLIT = (Step(name="a", weight=20), Step(name="b", weight=0), Step(name="c", weight=80))


def test_a_splitter_gives_each_step_its_weight_in_a_hundred_points() -> None:
    drawn = Counter(routing.split(SPLIT, point).name for point in range(100))
    assert drawn == {"a": 20, "c": 80}


def test_a_splitter_whose_weights_end_early_says_so() -> None:
    with pytest.raises(RoutingError, match="no route was selected by the splitter"):
        routing.split((Step(weight=20),), 20)


@pytest.mark.parametrize(
    ("request_", "chosen"),
    [
        (b'{"x": 1}', "first"),
        (b'{"x": 1, "y": 1}', "first"),
        (b'{"y": 1}', "second"),
        (b"{}", None),
        (b"no json", None),
    ],
)
def test_a_switch_takes_the_first_step_whose_condition_holds(
    request_: bytes, chosen: str | None
) -> None:
    steps = (Step(name="first", condition="x"), Step(name="second", condition="y"))
    if chosen:
        assert routing.switched(steps, request_).name == chosen
        return
    with pytest.raises(RoutingError, match="None of the routes matched") as error:
        routing.switched(steps, request_)
    assert error.value.status == 404


@pytest.mark.parametrize(
    ("step", "at", "sent"),
    [
        (Step(), 1, b"given"),
        (Step(data="$request"), 1, b"given"),
        (Step(data="$response"), 1, b"before"),
        (Step(data="$response"), 0, b"given"),  # there is no answer yet
        (Step(data="$response.predictions"), 1, b"given"),  # only in KServe's comments
    ],
)
def test_a_sequences_step_is_sent_the_request_unless_it_asks_for_the_answer(
    step: Step, at: int, sent: bytes
) -> None:
    assert routing.request_of(step, at, b"given", b"before") == sent


@pytest.mark.parametrize(
    ("before", "sent"),
    [
        ({"predictions": [1], "model": "m"}, {"instances": [1]}),
        ({"predictions": []}, {"predictions": []}),
        ({"outputs": []}, {"outputs": []}),
        ([1], [1]),
    ],
)
def test_predictions_become_instances_where_the_step_says_so(before: Any, sent: Any) -> None:
    step = Step(data="$response", maps_predictions=True)
    found = routing.request_of(step, 1, b"", json.dumps(before).encode())
    assert json.loads(found) == sent


def test_headers_are_handed_on_by_pattern_and_in_canonical_form_and_json_is_the_type() -> None:
    headers = [("x-trace-id", "1"), ("authorization", "no"), ("content-type", "text/plain")]
    typed = ("Content-Type", "application/json")
    assert routing.propagated(headers, []) == [typed]
    patterns = [re.compile("Trace"), re.compile("^X-")]
    assert routing.propagated(headers, patterns) == [("X-Trace-Id", "1"), typed]
    assert ("Content-Type", "text/plain") in routing.propagated(headers, [re.compile("Content")])


@pytest.mark.parametrize(
    ("named", "kept"),
    [
        (None, []),
        ("", ["Authorization", "X-Trace"]),  # `propagate: []`, in KServe too
        ("(,Auth", ["Authorization"]),
    ],
)
def test_no_list_propagates_nothing_and_an_empty_one_all_but_what_is_of_the_connection(
    named: str | None, kept: list[str]
) -> None:
    headers = [(k, "1") for k in ("host", "content-length", "authorization", "x-trace")]
    found = routing.propagated(headers, routing.patterns(named))
    assert [k for k, _ in found] == [*kept, "Content-Type"]


# -- whole graphs

SAID = {
    "ok": Answer(b'{"predictions": [1]}', 200),
    "other": Answer(b'{"predictions": [2]}', 201),
    "bad": Answer(b'{"error": "no"}', 400),
    "text": Answer(b"hello", 200),
}


def walked(
    nodes: dict[str, Any], request: bytes = b'{"x": 1}', point: int = 0
) -> tuple[Answer, list[tuple[str, bytes]]]:
    """The answer of a graph of such services, and what each was sent."""
    sent: list[tuple[str, bytes]] = []

    async def call(step: Step, body: bytes) -> Answer:
        sent.append((step.service, body))
        if step.service not in SAID:
            raise RoutingError(f"lookup {step.service}: no such host")
        return SAID[step.service]

    walk = Walk(routing.read({"nodes": nodes}), call, lambda: point)
    return asyncio.run(walk.node("root", request)), sent


def node(router: str, *steps: dict[str, Any]) -> dict[str, Any]:
    return {"routerType": router, "steps": list(steps)}


def to(service: str, **more: Any) -> dict[str, Any]:
    return {"serviceName": service, **more}


HARD = {"dependency": "Hard"}


@pytest.mark.parametrize(
    ("steps", "status", "body", "asked"),
    [
        ([to("ok"), to("other")], 201, SAID["other"].body, ["ok", "other"]),
        ([to("bad"), to("ok")], 200, SAID["ok"].body, ["bad", "ok"]),  # a soft failure goes on
        ([to("bad", **HARD), to("ok")], 400, SAID["bad"].body, ["bad"]),
        ([to("ok"), to("bad")], 400, SAID["bad"].body, ["ok", "bad"]),  # the last answer, soft or not
        ([to("ok"), to("other", condition="predictions")], 201, SAID["other"].body, ["ok", "other"]),
        ([to("ok"), to("other", condition="nothing")], 200, SAID["ok"].body, ["ok"]),
        ([to("bad"), to("other", condition="nothing")], 200, SAID["bad"].body, ["bad"]),  # 200!
    ],
)  # fmt: skip
def test_a_sequence_ends_at_a_failed_hard_step_or_a_condition_that_does_not_hold(
    steps: list[dict[str, Any]], status: int, body: bytes, asked: list[str]
) -> None:
    answer, sent = walked({"root": node("Sequence", *steps)})
    assert (answer.status, answer.body) == (status, body)
    assert [service for service, _ in sent] == asked


def test_a_sequence_hands_an_answer_on() -> None:
    steps = [to("ok"), to("other", data="$response"), to("ok", data="$request")]
    _, sent = walked({"root": node("Sequence", *steps)})
    assert [body for _, body in sent] == [b'{"x": 1}', SAID["ok"].body, b'{"x": 1}']


def test_an_ensemble_sends_the_request_to_all_and_answers_by_name_or_place() -> None:
    answer, sent = walked({"root": node("Ensemble", to("ok", name="one"), to("bad"))})
    assert (answer.status, json.loads(answer.body)) == (
        200, {"one": {"predictions": [1]}, "1": {"error": "no"}},
    )  # fmt: skip
    assert {body for _, body in sent} == {b'{"x": 1}'}


@pytest.mark.parametrize(
    ("steps", "status"),
    [([to("ok"), to("bad", **HARD)], 400), ([to("bad", **HARD), to("ok")], 400)],
)
def test_an_ensembles_failed_hard_step_is_its_answer(steps: list[Any], status: int) -> None:
    answer, _ = walked({"root": node("Ensemble", *steps)})
    assert (answer.status, answer.body) == (status, SAID["bad"].body)


@pytest.mark.parametrize(
    ("nodes", "cause", "status"),
    [
        ({"root": node("Ensemble", to("ok"), to("text"))}, "did not answer with a JSON object", 500),
        ({"root": node("Sequence", to("gone", **HARD))}, "lookup gone: no such host", 500),
        ({"root": node("Sequence", to("gone"), to("ok"))}, "no such host", 500),  # a soft one, too
        ({"root": node("Ensemble", to("ok"), to("gone"))}, "no such host", 500),
        ({"root": node("Sequence", to("ok", condition="x"))}, "invalid response", 500),  # none before
        ({"root": node("Sequence", to("text"), to("ok", condition="x"))}, "invalid response", 500),
        ({"root": node("Switch", to("ok", condition="nobody"))}, "None of the routes", 404),
        ({"root": node("Sequence", {"nodeName": "in"}), "in": node("Switch")}, "None of the", 500),
        ({"root": node("Sequence", {"nodeName": "nowhere"})}, "invalid route type: ", 500),
        ({"root": node("Sequnce", to("ok"))}, "invalid route type: Sequnce", 500),
    ],
)  # fmt: skip
def test_what_the_router_itself_cannot_do_is_its_error(
    nodes: dict[str, Any], cause: str, status: int
) -> None:
    with pytest.raises(RoutingError, match=cause) as error:
        walked(nodes)
    assert error.value.status == status


def test_a_node_may_lead_to_another() -> None:
    nodes = {
        "root": node("Sequence", {"nodeName": "choice"}, to("ok", data="$response")),
        "choice": node("Splitter", to("bad", weight=10), to("other", weight=90)),
    }
    answer, sent = walked(nodes, point=10)
    assert [service for service, _ in sent] == ["other", "ok"]
    assert (answer, sent[1][1]) == (SAID["ok"], SAID["other"].body)
    assert walked(nodes, point=9)[1][0][0] == "bad"


@pytest.mark.parametrize(
    ("nodes", "said"),
    [
        ({"root": node("Switch", to("a", condition="b*"))}, "nodes.root.steps[0].condition: '*'"),
        ({"root": node("Sequence", {"nodeName": "root"})}, "root -> root lead back to themselves"),
        (
            {"root": node("Sequence", {"nodeName": "a"}), "a": node("Switch", {"nodeName": "root"})},
            "root -> a -> root lead back",
        ),
        ({"root": node("Sequence", {"nodeName": "nowhere"})}, ""),
    ],
)  # fmt: skip
def test_a_graph_that_is_not_run_here_is_told_by_its_place(nodes: Any, said: str) -> None:
    found = routing.not_emulated(routing.read({"nodes": nodes}))
    assert said in found
    assert bool(said) == bool(found)


names = st.sampled_from(["ok", "other", "bad"])


@given(st.lists(st.tuples(names, st.booleans()), min_size=1, max_size=5))
@settings(max_examples=60, deadline=None)
def test_no_step_after_a_failed_hard_one_is_ever_asked(steps: list[tuple[str, bool]]) -> None:
    made = [to(name, dependency="Hard" if hard else "Soft") for name, hard in steps]
    answer, sent = walked({"root": node("Sequence", *made)})
    stop = next((at for at, (name, hard) in enumerate(steps) if hard and name == "bad"), None)
    asked = steps if stop is None else steps[: stop + 1]
    assert [service for service, _ in sent] == [name for name, _ in asked]
    assert answer == SAID[asked[-1][0]]
