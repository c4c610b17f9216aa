"""What may be written into slo, and what each mistake in a query is told before anything is released."""

import re
from typing import Any

import pytest
import yaml

from tidegate.adapters.files import parse_policy
from tidegate.core.readings import Place, resolve
from tidegate.errors import DocumentError
from tidegate.policy import Policy, PromqlSlo
from tidegate.policy.presets import BY_MODE, PRESETS
from tidegate.policy.promql import complaint, longest_range_s, metrics_of, selectors_of

JOINED = (
    "histogram_quantile(0.9, sum by (le) (rate(http_server_request_duration_seconds_bucket[5m])"
    ' * on (job, instance) group_left () target_info{kn_revision_name="$revision"}))'
)
ONE = '{serving_knative_dev_revision="$revision"}'


def policy(*objectives: dict[str, Any], **slo: Any) -> Policy:
    whole = {
        "name": "m",
        "model": {"uri": "models:/m/2"},
        "slo": {"objectives": list(objectives), **slo},
    }
    return parse_policy(yaml.safe_dump(whole), what="policy.yaml")


def promql(query: str, **fields: Any) -> dict[str, Any]:
    return {"kind": "promql", "name": "q", "query": query, "limit": 1} | fields


@pytest.mark.parametrize(
    "query",
    [
        f"sum(nv_inference_count{ONE})",
        f"sum(rate(nv_inference_count{ONE}[$window])) / sum(nv_inference_exec_count{ONE})",
        f"sum by (serving_knative_dev_revision) (nv_inference_count{ONE})",
        f"topk(1, nv_inference_count{ONE})",
        f"count(count by (pod) (nv_inference_count{ONE}))",
        f"absent(nv_inference_count{ONE})",
        f"sum(nv_inference_request_failure{ONE}) or vector(0)",
        f"sum(up) / on() sum(nv_inference_count{ONE})",
        f"max_over_time(sum(nv_inference_count{ONE})[10m:1m])",
        'sum(nv_inference_count{pod=~"$pods"})',
        'sum(nv_inference_count{r=~"$revision$"})',
        JOINED,
    ],
)
def test_a_query_that_gives_one_number_about_one_revision_is_accepted(query: str) -> None:
    assert complaint(query) == ""


@pytest.mark.parametrize(
    ("query", "told"),
    [
        ("sum(nv_inference_count)", "must select one revision, and nv_inference_count does not"),
        ('sum(nv_inference_count{r!="$revision"})', "must select one revision"),
        ('sum(nv_inference_count{r=~"$revision|other"})', "must select one revision"),
        (f"sum(up) / sum(nv_inference_count{ONE})", "must select one revision, and up does not"),
        ("vector(1)", "asks for no metric of the candidate"),
        (f"nv_inference_count{ONE}", "several series for one number (one for each pod)"),
        (f"rate(nv_inference_count{ONE}[5m])", "several series"),
        (f"sum by (model) (nv_inference_count{ONE})", "one for each model"),
        (f"sum without (pod) (nv_inference_count{ONE})", "several series"),
        (f"topk(3, nv_inference_count{ONE})", "several series"),
        (f'count_values("v", nv_inference_count{ONE})', "several series"),
        (f"sum(nv_inference_cuont{ONE})", "did you mean nv_inference_count?"),
        (f"sum(my_own{ONE})", "a metric of your own goes into slo.metrics"),
        (f"max(nv_inference_request_summary_us{ONE})", "Triton's summaries cost a third"),
        ('sum(nv_inference_count{r="${revision}"})', "in braces"),
        ('sum(nv_inference_count{r="{{revision}}"})', "in braces"),
        ('sum(nv_inference_count{r="$revison"})', "has $revison, which nothing fills"),
        (f"sum(nv_inference_count{ONE}", "is not PromQL"),
        (f"no_such_function(nv_inference_count{ONE})", "is not PromQL"),
    ],
)
def test_a_query_that_would_mislead_is_refused_when_the_policy_is_read(
    query: str, told: str
) -> None:
    with pytest.raises(DocumentError) as refused:
        policy(promql(query))
    said = str(refused.value)
    assert told in said
    assert said.startswith("policy.yaml: slo")
    assert query in said  # the value
    assert "\n" not in said


def test_a_metric_of_ones_own_is_declared_once() -> None:
    accepted = policy(promql(f"sum(my_own{ONE})"), metrics=["my_own"])
    assert accepted.slo.metrics == ("my_own",)


@pytest.mark.parametrize(
    ("objective", "told"),
    [
        ({"kind": "promql", "name": "q", "query": f"sum(up{ONE})"}, "has no limit"),
        ({"kind": "promql", "name": "q", "limit": 1}, "give either query or preset"),
        ({"kind": "promql", "name": "q", "limit": 1, "preset": "triton/p98_ms"}, "triton/p99_ms"),
        (promql(f"sum(up{ONE})", failing={"looks": 3, "of": 2}), "looks 3 is more than of 2"),
        ({"kind": "http", "name": "g", "url": "http://me:pw@gate"}, "TIDEGATE_GATE_TOKEN_FILE"),
        ({"kind": "cost", "limit": 1}, "gpu_hour: is required"),
        ({"kind": "gpu", "limit": 0.9, "measure": "heat"}, "measure = 'heat'"),
    ],
)
def test_an_objective_that_says_too_little_is_refused(objective: dict[str, Any], told: str) -> None:
    with pytest.raises(DocumentError, match=re.escape(told)):
        policy(objective)


@pytest.mark.parametrize("preset", PRESETS.values(), ids=lambda preset: preset.name)
def test_every_preset_asks_for_its_own_metrics_and_for_one_number(preset: Any) -> None:
    place = Place(revision="m-2", incumbent="m-1", namespace="prod", name="m")
    for name, query in preset.queries.items():
        assert complaint(query) == "", name
        assert metrics_of(query) <= preset.metrics
        assert "$" not in resolve(query, place, window_s=60)
        asked = {"kind": "promql", "name": "q", "limit": 1, "preset": f"{preset.name}/{name}"}
        (objective,) = policy(asked).slo.objectives
        assert isinstance(objective, PromqlSlo)
        assert objective.text == query
    counted = preset.requests
    if counted:
        names = {f"{counted.histogram}_count"} if counted.histogram else set()
        assert (
            names | set(counted.counters) | set(filter(None, [counted.failures])) <= preset.metrics
        )


def test_every_mode_has_a_preset_that_counts_requests() -> None:
    for names in BY_MODE.values():
        assert all(PRESETS[name].requests for name in names)


@pytest.mark.parametrize(
    "args",
    [
        ["--metrics-config=counter_latencies=false"],
        ["--metrics-config", "counter_latencies=False"],
        ["--metrics-config=summary_latencies=true"],
        ["--metrics-config", "summary_latencies = 1"],
    ],
)
def test_metrics_flags_that_blind_or_slow_triton_are_refused(args: list[str]) -> None:
    whole = {"name": "m", "model": {"uri": "models:/m/2"}, "serving": {"args": args}}
    with pytest.raises(DocumentError, match=r"serving\.args.*remove it"):
        parse_policy(yaml.safe_dump(whole), what="policy.yaml")


def test_what_is_read_out_of_a_query() -> None:
    query = 'sum(rate(a{r="x"}[5m])) / sum(rate(b{p=~"x{6,10}"}[1h])) + sum(rate(c[$window]))'
    assert longest_range_s(query) == 3600
    assert metrics_of(query) == {"a", "b", "c"}
    assert selectors_of(query) == ('a{r="x"}', 'b{p=~"x{6,10}"}', "c{}")


@pytest.mark.parametrize(
    "selector",
    [r'a{x=~"b\\.c"}', r'a{x="q\"q"}', 'a{x!="it"}', r'a{x!~"b\\d+",y="z"}', '{__name__="a"}'],
)
def test_a_selector_is_asked_for_as_it_was_written(selector: str) -> None:
    assert selectors_of(f"sum(rate({selector}[5m] offset 1h))") == (selector,)


def test_a_range_longer_than_the_bake_is_refused_where_it_would_be_judged_in_one() -> None:
    query = f"sum(rate(nv_inference_count{ONE}[10m]))"
    with pytest.raises(DocumentError, match=r"looks back 600 s.*write \[\$window\]"):
        policy(promql(query))
    assert policy(promql(query, live=False)).slo.objectives
