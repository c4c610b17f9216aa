"""Documents are strict, atomic, and about one model version."""

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.adapters.files import read, read_any, same_subject, write, write_text
from tidegate.documents import SEVERITY, Candidate, Refusal, Subject, Word, worst
from tidegate.errors import DocumentError, UnavailableError

SUBJECT = Subject(model="digits", version="3", digest="sha256:" + "a" * 64)
CANDIDATE = Candidate(
    subject=SUBJECT,
    uri="models:/digits/3",
    requested_uri="models:/digits@new",
    flavors=("sklearn",),
    artifact_uri="mlflow-artifacts:/x",
)


def test_what_was_written_is_read_back(tmp_path: Path) -> None:
    write(tmp_path / "deep" / "candidate.json", CANDIDATE)
    assert read(tmp_path / "deep" / "candidate.json", Candidate) == CANDIDATE
    assert read_any(tmp_path / "deep" / "candidate.json") == CANDIDATE


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"schema_version": 1', '"schema_version": 2'),
        ('"uri"', '"url"'),
        ('"schema_version": 1', '"schema_version": "1"'),
        ('"created_ms": null', '"created_ms": NaN'),
        ('"kind": "Candidate"', '"kind": "Verdict"'),
    ],
)
def test_a_document_that_is_nearly_right_is_refused(tmp_path: Path, old: str, new: str) -> None:
    path = tmp_path / "candidate.json"
    write(path, CANDIDATE)
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))
    with pytest.raises(DocumentError, match=r"candidate\.json"):
        read(path, Candidate)


def test_a_document_about_another_version_is_refused(tmp_path: Path) -> None:
    write(tmp_path / "c.json", CANDIDATE)
    other = SUBJECT.model_copy(update={"version": "4"})
    with pytest.raises(DocumentError, match=r"version 3 .* version 4"):
        read(tmp_path / "c.json", Candidate, about=other)
    same_subject(SUBJECT, SUBJECT, what="c.json")


def test_a_refusal_about_another_version_is_refused_too(tmp_path: Path) -> None:
    write(
        tmp_path / "r.json", Refusal(subject=SUBJECT, step="optimize", word=Word.FAIL, reason="no")
    )
    with pytest.raises(DocumentError):
        read(tmp_path / "r.json", Refusal, about=SUBJECT.model_copy(update={"model": "other"}))


@pytest.mark.parametrize("content", ["", "{", "[]", '{"kind": "Nothing"}', "\udcff"])
def test_anything_else_is_refused_in_one_line(tmp_path: Path, content: str) -> None:
    (tmp_path / "x.json").write_bytes(content.encode("utf-8", "surrogateescape"))
    with pytest.raises(DocumentError) as refused:
        read_any(tmp_path / "x.json")
    assert "\n" not in str(refused.value)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_is_a_try_again_and_leaves_the_old_file(tmp_path: Path) -> None:
    with pytest.raises(UnavailableError, match="free space"):
        write_text(Path("/proc/nowhere.json"), "x")
    path = tmp_path / "kept.json"
    write_text(path, "old")
    limit_files_to(10)
    try:
        with pytest.raises(UnavailableError, match="cannot write"):
            write_text(path, "x" * 100_000)
    finally:
        limit_files_to(-1)
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["kept.json"]


def limit_files_to(size: int) -> None:
    """The kernel's own refusal to write more, as a full disk gives it."""
    import resource
    import signal

    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
    resource.setrlimit(resource.RLIMIT_FSIZE, (hard if size < 0 else size, hard))
    os.sync()


@given(st.lists(st.sampled_from(Word)))
def test_the_worst_word_is_order_free_and_only_pass_is_pass(words: list[Word]) -> None:
    assert worst(*words) == worst(*reversed(words))
    if worst(*words) is Word.PASS:
        assert words
        assert set(words) == {Word.PASS}
    assert set(SEVERITY) == set(Word)
