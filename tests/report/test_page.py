"""The page: complete for every way a release can end, escaped, and readable without the network."""

import re
from html.parser import HTMLParser

import pytest

from tests.report import a_release
from tidegate.documents import Arm, Finding, Report, Result, Subject, Word
from tidegate.report.markdown import markdown
from tidegate.report.page import candidate_shares, page

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
        self.addresses: list[str] = []
        self.feed(text)
        self.close()
        assert not self.open, self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
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


def read(report: Report, **more: object) -> Reader:
    """The page as a browser reads it; whatever it says, it names no unknown as None or nan."""
    text = page(report, a_release.policy(), **more)  # type: ignore[arg-type]
    reader = Reader(text)
    assert not re.search(r"\b(None|nan|NaN|inf|Undefined)\b", reader.text)
    assert not re.search(r' (d|points|x|y)="[^"]*(nan|inf)', text)
    return reader


@pytest.mark.parametrize("result", list(Result))
def test_every_way_to_end_has_a_page(result: Result) -> None:
    seen = read(a_release.report(result), optimized=a_release.optimized())
    assert f"digits version 7: {result.replace('_', ' ')}" in seen.text
    assert "serves all of production as digits-predictor-00002" in seen.text
    assert seen.tags.count("svg") == 3
    for figure in ("9.891 ms", "25 ms", "50.25", "99 %", "onnx 1.20.0", "models:/digits/7"):
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
        parity=refused.parity, reason=refused.reason,
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
    )
    seen = read(told, warnings=[HOSTILE])
    assert "script" not in seen.tags
    assert seen.text.count("<script>alert('1')</script>") >= 9


def test_nobody_answered_is_shown_as_such() -> None:
    seen = read(a_release.report(load=a_release.load(answered=0)))
    assert seen.tags.count("svg") == 1  # the traffic alone
    assert seen.text.count("1 200") == 5  # requests and as many errors of both, and the samples


@pytest.mark.parametrize("answered", [1, 2, 5000])
def test_few_and_many_answers_can_be_drawn(answered: int) -> None:
    text = page(
        a_release.report(load=a_release.load(pairs=2, answered=answered)), a_release.policy()
    )
    assert text.count("<svg") == 3
    assert len(text) < 300_000


def test_without_a_baseline_there_is_one_arm() -> None:
    load = a_release.load()
    alone = tuple(block for block in load.blocks if block.arm is Arm.CANDIDATE)
    load = load.model_copy(update={"baseline": None, "blocks": alone})
    seen = read(a_release.report(load=load))
    assert "baseline p50" not in seen.text


def test_an_unread_journal_is_no_untouched_production() -> None:
    seen = read(a_release.report(journal={}), warnings=["the journal could not be read"])
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
    assert "| candidate | 1200 |" in text
    assert "- **PASS** p99 latency" in text
    assert "- **INCONCLUSIVE** p95 (not blocking): not judged" in text
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
