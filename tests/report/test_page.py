"""The page: complete for every way a release can end, escaped, and readable without the network."""

import re
from html.parser import HTMLParser

import pytest

from tests.report import a_release, samples
from tidegate.documents import (
    Arm,
    ConfigText,
    CrossCheck,
    Engine,
    Finding,
    Package,
    Report,
    Result,
    StepDown,
    Subject,
    Word,
)
from tidegate.errors import RollbackFailedError
from tidegate.report.markdown import markdown
from tidegate.report.page import nothing_to_undo, page
from tidegate.report.traffic import candidate_shares
from tidegate.steps.remembered import report_from_journal

pytestmark = pytest.mark.usefixtures("drawn_once")
VOID = {"meta", "br", "link", "img", "hr", "input"}
HOSTILE = "<script>alert('1')</script>\"&"


class Reader(HTMLParser):
    """Collects what a browser would show, and refuses tags that do not nest."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.tags: list[str] = []
        self.ids: list[str] = []
        self.words: list[str] = []
        self.plots = 0  # each is drawn twice, wide and narrow
        self.addresses: list[str] = []
        self.feed(text)
        self.close()
        assert not self.open, self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.plots += tag == "svg" and ("role", "img") in attrs
        self.ids += [value for name, value in attrs if name == "id" and value]
        named = {"src", "href", "xlink:href", "data", "action"}
        self.addresses += [value or "" for name, value in attrs if name in named]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] != "style":
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


def read(report: Report) -> Reader:
    """The page as a browser reads it; whatever it says, it names no unknown as None or nan."""
    return read_text(page(report, a_release.policy()))


def read_text(text: str) -> Reader:
    reader = Reader(text)
    assert not re.search(r"\b(None|nan|NaN|inf|Undefined)\b", reader.text)
    assert not re.search(r' (d|points|x|y)="[^"]*(nan|inf)', text)
    return reader


@pytest.mark.parametrize("result", list(Result))
def test_every_way_to_end_has_a_page(result: Result) -> None:
    seen = read(a_release.report(result))
    assert f"digits version 7: {result.replace('_', ' ')}" in seen.text
    assert "serves all of production as digits-predictor-00002" in seen.text
    assert seen.plots == 8
    for figure in (
        "9.891 ms",
        "8.77 to 12.4",
        "25 ms",
        "50.25",
        "99 %",
        "onnx 1.20.0",
        "models:/digits/7",
        "registered by ada",
        "runtime tidegate-triton",
        "max_batch_size: 16",
        "398 /s",
    ):
        assert figure in seen.text, figure


def test_the_page_needs_nothing_from_elsewhere() -> None:
    seen = read(a_release.report())
    assert "script" not in seen.tags
    assert "link" not in seen.tags
    assert all(address.startswith("#") for address in seen.addresses)
    text = page(a_release.report(), a_release.policy())
    assert "url(http" not in text
    assert "@import" not in text


def test_no_id_is_given_twice() -> None:
    ids = read(a_release.report()).ids
    assert len(ids) == len(set(ids))


@pytest.mark.parametrize("step", ["optimize", "deploy"])
def test_a_refusal_has_a_complete_page(step: str) -> None:
    finding = Finding(name="label parity", word=Word.FAIL, message="labels differ", observed=0.9)
    refused = a_release.refusal(step, findings=(finding,), parity=a_release.parity(Word.FAIL))
    told = a_release.report(
        Result.REJECTED, verdict=refused, deployment=None, load=None, journal={}, seconds={},
        parity=refused.parity, reason=refused.reason, configs=(),
    )  # fmt: skip
    seen = read(told)
    assert f"The step {step} refused, and nothing after it ran." in seen.text
    assert seen.text.count(refused.reason) == 1
    assert "No load test ran." in seen.text
    assert "labels differ" in seen.text
    assert "0.9934" in seen.text
    assert "Production is served as it was before this release." in seen.text


def test_hostile_text_is_text() -> None:
    subject = Subject(model=HOSTILE, version=HOSTILE, digest=f"sha256:{'0' * 64}")
    finding = Finding(name=HOSTILE, word=Word.FAIL, message=HOSTILE, query=HOSTILE, unit=HOSTILE)
    told = a_release.report(
        Result.ROLLED_BACK,
        subject=subject,
        reason=HOSTILE,
        release_id=HOSTILE,
        candidate=a_release.candidate(subject, artifact_uri=HOSTILE, flavors=(HOSTILE,)),
        verdict=a_release.verdict().model_copy(update={"findings": (finding,)}),
        load=a_release.load().model_copy(update={"fairness": HOSTILE, "reduced": HOSTILE}),
        warnings=(HOSTILE,),
    )
    seen = read(told)
    assert "script" not in seen.tags
    assert seen.text.count("<script>alert('1')</script>") >= 9


def test_nobody_answered_is_shown_as_such() -> None:
    seen = read(a_release.report(load=a_release.load(answered=0)))
    assert seen.plots == 4  # the traffic, and the curve that was measured apart
    assert seen.text.count("1 200") == 7  # requests and as many errors of both, and the samples


@pytest.mark.parametrize("answered", [1, 2, 5000])
def test_few_and_many_answers_can_be_drawn(answered: int) -> None:
    text = page(
        a_release.report(load=a_release.load(pairs=2, answered=answered)), a_release.policy()
    )
    assert read_text(text).plots == 8
    assert len(text) < 500_000


def test_without_a_baseline_there_is_one_arm() -> None:
    load = a_release.load()
    alone = tuple(block for block in load.blocks if block.arm is Arm.CANDIDATE)
    load = load.model_copy(update={"baseline": None, "blocks": alone})
    seen = read(a_release.report(load=load))
    assert "baseline p50" not in seen.text


def test_a_dedicated_baseline_is_named_with_its_revision_and_its_pods() -> None:
    load = a_release.load()
    assert load.baseline
    named = {"service": "digits-base-1a2b3c", "replicas": 2, "revision": "copy-00001"}
    load = load.model_copy(update={"baseline": load.baseline.model_copy(update=named)})
    seen = read(a_release.report(load=load))
    assert "copy-00001 (dedicated baseline)" in seen.text
    assert "dedicated: digits-base-1a2b3c" in seen.text
    assert "(revision copy-00001, 2 pods)" in seen.text
    assert "dedicated" not in read(a_release.report()).text


def test_what_is_done_for_a_dedicated_baseline_moves_no_share() -> None:
    acts = [
        {"kind": kind, "percent": percent, "intended_s": float(at), "confirmed_s": float(at)}
        for at, (kind, percent) in enumerate(
            [("BASELINE", None), ("STAGE", 0), ("SHIFT", 10), ("RETIRE", None), ("SHIFT", 100)]
        )
    ]
    assert candidate_shares(acts) == [(1.0, 0), (2.0, 10), (4.0, 100)]


def test_an_unread_journal_is_no_untouched_production() -> None:
    seen = read(a_release.report(journal={}, warnings=("the journal could not be read",)))
    assert "is not known here" in seen.text
    assert "the journal could not be read" in seen.text


def test_a_first_release_taken_back_leaves_nothing() -> None:
    journal = a_release.journal(Result.ROLLED_BACK)
    journal["outcome"]["traffic"] = {}
    seen = read(a_release.report(Result.ROLLED_BACK, journal=journal))
    assert "nothing is served under this name" in seen.text


def test_markdown_says_the_same_in_short() -> None:
    text = markdown(a_release.report())
    assert text.startswith("## digits version 7: PROMOTED\n")
    assert "| candidate | 1\u202f200 |" in text
    assert "| **PASS** | p99 latency: p99 9.9 ms" in text
    assert "| 9.891 ms | 8.77 to 12.4 | 25 ms |" in text
    assert "| **INCONCLUSIVE** | p95 (not blocking): not judged" in text
    assert "Production at the end: digits-predictor-00002 100 %." in text
    assert "| 50 % | **PASS** |" in text
    assert "None" not in text


def test_markdown_does_not_read_hostile_text_as_its_own() -> None:
    text = markdown(a_release.report(reason="<b>a</b>\n# [x](y) | `z`"))
    assert "&lt;b&gt;a&lt;/b&gt; \\# \\[x\\](y) \\| \\`z\\`" in text


def act(kind: str, percent: int | None, at_s: float) -> dict[str, object]:
    return {"kind": kind, "percent": percent, "intended_s": at_s, "confirmed_s": at_s + 1}


def test_the_incumbents_way_back_is_not_drawn_as_the_candidates_share() -> None:
    acts = [act("STAGE", 0, 1), act("SHIFT", 10, 2), act("RESTORE", 0, 3), act("SHIFT", 100, 4)]
    assert candidate_shares(acts) == [(2, 0), (3, 10), (4, 0), (5, 0)]


def test_a_preview_has_no_share_and_its_removal_changes_none() -> None:
    acts = [act("PREVIEW", None, 1), act("CREATE", 100, 2), act("DISCARD", None, 3)]
    assert candidate_shares(acts) == [(2, 0), (3, 100)]


def test_a_first_release_judged_as_a_preview_says_so() -> None:
    judged = {
        "incumbent": None,
        "initial": True,
        "production_host": "",
        "preview": "digits-preview",
    }
    staged = a_release.deployment().model_copy(update=judged)
    seen = read(a_release.report().model_copy(update={"deployment": staged}))
    assert "none yet: judged as digits-preview" in seen.text


def test_a_first_release_serves_everything_until_it_is_deleted() -> None:
    assert candidate_shares([act("CREATE", None, 1), act("DELETE", None, 5)]) == [(2, 100), (6, 0)]


# -- what a page distils, and what it shows of what is not there


def test_of_many_findings_the_least_severe_are_left_out_and_counted() -> None:
    passed = tuple(Finding(name=f"ok {n}", word=Word.PASS, message="held") for n in range(60))
    bad = Finding(name="the bad one", word=Word.FAIL, message="p99 41 ms > 25 ms")
    told = a_release.verdict().model_copy(update={"findings": (*passed, bad)})
    seen = read(a_release.report(Result.ROLLED_BACK, verdict=told))
    assert "the bad one" in seen.text
    assert "ok 59" not in seen.text
    assert "21 more findings, the least severe, are in report_document." in seen.text


def test_of_many_acts_the_first_and_the_last_are_shown() -> None:
    journal = a_release.journal(Result.PROMOTED)
    journal["acts"] = [a | {"why": f"act number {n}"} for n, a in enumerate(journal["acts"] * 20)]
    seen = read(a_release.report(journal=journal))
    assert "act number 0" in seen.text
    assert "act number 79" in seen.text
    assert "act number 30" not in seen.text
    assert "40 more acts lie between" in seen.text


def test_a_look_that_said_something_else_than_the_step_has_a_row() -> None:
    seen = read(a_release.report())
    assert seen.text.count("at a look: only 0 of 100 candidate requests so far") == 3
    assert "no SLO is violated (8 looks are kept)" in seen.text


def test_an_interval_with_an_open_side_says_so() -> None:
    open_ended = Finding(name="p", word=Word.PASS, message="m", observed=2.0, lower=1.5, limit=3.0)
    told = a_release.verdict().model_copy(update={"findings": (open_ended,)})
    assert "1.5 to …" in read(a_release.report(verdict=told)).text


def test_what_was_judged_of_live_traffic_has_its_interval_on_the_page_and_in_its_twins() -> None:
    told = a_release.report()
    seen, text = read(told).text, markdown(told)
    assert seen.count("0.0001 to 0.0042") == 3  # at each share
    assert "| 50 % | **PASS** | live errors: live requests answered 5xx" in text
    assert "| 0.0005 | 0.0001 to 0.0042 | 0.001 | 2\u202f000 |" in text
    assert "| 11.2 ms | 10 to … | 25 ms |" in text
    kept = told.journal["outcome"]["steps"][1]["findings"]
    assert [(one["lower"], one["upper"]) for one in kept][1] == (0.0001, 0.0042)


def test_configuration_that_could_not_be_read_is_not_shown_as_unchanged() -> None:
    text = ConfigText(name="digits/config.pbtxt", incumbent="a: 1", candidate=None)
    same = ConfigText(name="spec", incumbent="a: 1", candidate="a: 1")
    seen = read(a_release.report(configs=(text, same)))
    assert "digits/config.pbtxt The candidate's could not be read." in seen.text
    assert "spec Both are the same." in seen.text


def test_the_page_of_a_journal_does_not_claim_to_know_what_was_measured() -> None:
    seen = read_text(page(*report_from_journal(samples.died())))
    assert "digits version 7: DIED" in seen.text
    assert "Written from the journal in the cluster" in seen.text
    assert "Traffic is safe; the spec is repaired." in seen.text
    assert "Production at the end: digits-predictor-00001 100 %." in seen.text
    assert seen.plots == 2
    assert "No load test ran" not in seen.text


def test_a_return_that_failed_says_what_to_type() -> None:
    journal = samples.died().model_copy(update={"outcome": None, "traffic_safe": None})
    seen = read_text(page(*report_from_journal(journal, RollbackFailedError(samples.ALARM))))
    assert "ROLLBACK FAILED" in seen.text
    assert "run: kubectl -n default patch inferenceservice digits" in seen.text
    assert "How production is served at the end is not known here." in seen.text


@pytest.mark.parametrize("release_id", ["r7", HOSTILE])
def test_a_run_that_reached_nothing_has_a_page_that_says_so(release_id: str) -> None:
    seen = read_text(nothing_to_undo(release_id))
    assert "This run left nothing in the cluster" in seen.text
    assert f"Release {release_id}" in seen.text


def test_a_plot_says_in_words_what_it_shows() -> None:
    text = page(a_release.report(), a_release.policy())
    spoken = re.findall(r'<svg role="img" aria-label="([^"]+)"', text)
    assert len(spoken) == 8
    assert spoken[0] == spoken[1]
    assert any("INCONCLUSIVE" in words or "PASS at 50 %" in words for words in spoken)
    assert any("398 a second at p99 12.3 ms" in words for words in spoken)


def test_what_was_judged_says_how_to_judge_it_again() -> None:
    told = "tidegate gate --replay FILE; FILE is evidence of gate"
    assert told in read(a_release.report()).text
    journal = a_release.journal(Result.PROMOTED) | {"steps": [{"evidence": {"percent": 10}}]}
    assert f"{told} or live_evidence of promote" in read(a_release.report(journal=journal)).text
    refused = a_release.refusal("optimize")
    assert "--replay" not in read(a_release.report(Result.REJECTED, verdict=refused)).text


def test_what_is_served_instead_of_a_plan_is_shown_with_each_reason() -> None:
    down = StepDown(wanted="tensorrt", reason="no GPU is here: libcuda.so.1")
    made = a_release.optimized().model_copy(update={"steps_down": (down,), "accelerator": "cuda"})
    text = page(a_release.report(Result.PROMOTED, optimized=made), None)
    assert "not tensorrt" in text
    assert "no GPU is here: libcuda.so.1" in text
    assert "onnxruntime by its cuda provider (opset 18" in text


def test_a_plan_is_shown_with_its_gpu_and_its_layers() -> None:
    plan = Engine(
        builder="python", tensorrt="10.7.0.23", gpu="NVIDIA L4", compute_capability="8.9",
        size_bytes=1, layers=3, kinds={"gemm": 2, "kgen": 1}, precisions={"FP16": 3}, reused=True,
    )  # fmt: skip
    made = a_release.optimized().model_copy(
        update={"target": "tensorrt", "engine": plan, "opset": 0, "precision": "fp16"}
    )
    text = page(a_release.report(Result.PROMOTED, optimized=made), None)
    for told in (
        "python, TensorRT 10.7.0.23 (of an earlier build)", "3 in all, 2 gemm, 1 kgen", "3 FP16",
        "NVIDIA L4, compute capability 8.9, exact",
    ):  # fmt: skip
        assert told in text


def test_a_compiled_package_is_shown_with_its_torch_and_its_machines() -> None:
    package = Package(
        torch="2.11.0", device="cpu", cpu="avx2", vectors="avx2", machine="x86_64", compiler="g++ 12.2",
        key="k", seconds=20.5, size_bytes=1,
    )  # fmt: skip
    made = a_release.optimized().model_copy(update={"target": "aoti", "package": package})
    text = page(a_release.report(Result.PROMOTED, optimized=made), None)
    assert "AOTInductor, torch 2.11.0, g++ 12.2" in text
    assert "x86_64, avx2 (avx2)" in text


def test_what_another_client_measured_is_shown_as_no_judge() -> None:
    beside = CrossCheck(
        client="perf_analyzer", concurrency=4, throughput_rps=391.25, p50_ms=7.9, p99_ms=12.9
    )
    load = a_release.load().model_copy(update={"cross_check": beside})
    said = "perf_analyzer: 391.2 /s at 4 in flight, p50 7.90 ms, p99 12.9 ms; it judges nothing"
    assert said in read(a_release.report(load=load)).text
