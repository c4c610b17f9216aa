"""A step is written once; a refusal travels in place of a document."""

from dataclasses import dataclass
from pathlib import Path

import pytest

from tidegate.adapters.files import read_any, write
from tidegate.documents import Candidate, Refusal, Subject, Word
from tidegate.steps.execution import execute
from tidegate.steps.registry import (
    REGISTRY,
    InDocument,
    OutDocument,
    OutTree,
    Step,
    step,
    steps,
)

SUBJECT = Subject(model="digits", version="3", digest="sha256:" + "a" * 64)
REFUSAL = Refusal(
    subject=SUBJECT, step="optimize", word=Word.FAIL, reason="label differs in 9 rows"
)


@dataclass(frozen=True)
class Result:
    verdict: str
    reason: str
    count: int


@pytest.fixture
def doubled() -> Step:
    """A step of our own, out of the registry again at once."""

    @step(cacheable=True)
    def double(
        candidate: InDocument, number: int, written: OutDocument, folder: OutTree, word: str = "x"
    ) -> Result:
        """Double a number.

        More text.
        """
        write(written, read_any(candidate))
        folder.mkdir()
        return Result(verdict="PASS", reason=word, count=2 * number)

    return REGISTRY.pop("double")


def arguments(tmp_path: Path) -> dict[str, object]:
    return {
        "candidate": tmp_path / "in.json",
        "number": 21,
        "written": tmp_path / "out" / "doc.json",
        "folder": tmp_path / "out2" / "folder",
    }


def test_the_signature_is_the_interface(doubled: Step) -> None:
    assert [p.name for p in doubled.parameters] == [
        "candidate",
        "number",
        "written",
        "folder",
        "word",
    ]
    assert [p.name for p in doubled.ports("out")] == ["written", "folder"]
    assert [p.name for p in doubled.scalars] == ["number", "word"]
    assert doubled.outputs == (("verdict", str), ("reason", str), ("count", int))
    assert doubled.summary == "Double a number."


def test_a_step_runs_with_plain_arguments(doubled: Step, tmp_path: Path) -> None:
    write(
        tmp_path / "in.json",
        Candidate(subject=SUBJECT, uri="u", requested_uri="u", flavors=("onnx",), artifact_uri="a"),
    )
    assert execute(doubled, arguments(tmp_path)) == {"verdict": "PASS", "reason": "x", "count": 42}
    assert (tmp_path / "out2" / "folder").is_dir()


def test_a_refusal_is_handed_on_untouched_and_the_body_does_not_run(
    doubled: Step, tmp_path: Path
) -> None:
    write(tmp_path / "in.json", REFUSAL)
    result = execute(doubled, arguments(tmp_path))
    assert result == {"verdict": "FAIL", "reason": "label differs in 9 rows", "count": 0}
    assert read_any(tmp_path / "out" / "doc.json") == REFUSAL
    assert list((tmp_path / "out2" / "folder").iterdir()) == []


def test_every_step_of_the_release_is_registered() -> None:
    assert list(steps()) == [
        "train", "trigger",
        "resolve", "fetch", "optimize", "configure", "publish", "deploy", "load_test", "gate",
        "await_approval", "promote", "roll_back", "report", "conclude", "guard", "sweep",
    ]  # fmt: skip


def test_only_steps_without_side_effects_may_be_cached() -> None:
    assert {name for name, s in steps().items() if s.cacheable} == {"fetch", "configure"}


def test_every_step_says_what_it_does() -> None:
    for entry in steps().values():
        assert entry.summary.endswith("."), entry.name
