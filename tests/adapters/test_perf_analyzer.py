"""What is made of perf_analyzer's results, exit codes and limits; a script stands in for the binary."""

import json
import textwrap
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tidegate.adapters import perf_analyzer
from tidegate.errors import TidegateError, UnavailableError, UsageError

HEADER = "Concurrency,Inferences/Second,Client Send,p50 latency,p90 latency,p95 latency,p99 latency"
LEVEL = "4,480.5,12,8300,8500,8600,9100"
ROWS = ({"x": np.array([[1, 2.5]], np.float32)},)


def binary(folder: Path, *, code: int = 0, lines: tuple[str, ...] = (HEADER, LEVEL)) -> Path:
    """A script that writes these lines where -f says, says something, and ends with the code."""
    path = folder / "perf_analyzer"
    path.write_text(
        textwrap.dedent(
            f"""\
            #!/bin/sh
            echo "$@" > {folder}/command
            while [ $# -gt 0 ]; do
              case "$1" in
                -f) file=$2 ;;
                --input-data) cp "$2" {folder}/data.json ;;
              esac
              shift
            done
            printf '%s\\n' {" ".join(f"'{line}'" for line in lines)} {'> "$file"' if lines else ""}
            echo 'Request timeout expired' >&2
            exit {code}
            """
        )
    )
    path.chmod(0o755)
    return path


def measure(path: Path, **more: Any) -> perf_analyzer.Level:
    given: dict[str, Any] = {
        "model": "m", "address": "127.0.0.1:1", "protocol": "http", "host": "c.test", "rows": ROWS,
        "concurrency": 4, "window_s": 1.0,
    }  # fmt: skip
    return perf_analyzer.measure(path, **given | more)


def test_a_level_is_read_in_milliseconds_and_was_asked_with_our_own_data(tmp_path: Path) -> None:
    level = measure(binary(tmp_path))
    assert (level.throughput_rps, level.p50_ms, level.p99_ms) == (480.5, 8.3, 9.1)
    assert "-H Host:c.test" in (tmp_path / "command").read_text()
    sent = json.loads((tmp_path / "data.json").read_text(), parse_int=lambda text: f"int {text}")
    assert sent["data"][0]["x"]["content"] == [1.0, 2.5]  # it takes literal floats alone


@pytest.mark.parametrize(
    ("code", "lines", "words"),
    [
        (99, (HEADER, LEVEL), "ended with 99: Request timeout expired"),
        (0, (HEADER,), "wrote no level"),
        (2, (), "ended with 2"),  # its windows differed too much
    ],
)
def test_a_run_that_failed_gives_no_figures_of_an_earlier_one(
    tmp_path: Path, code: int, lines: tuple[str, ...], words: str
) -> None:
    with pytest.raises(UnavailableError, match=words):
        measure(binary(tmp_path, code=code, lines=lines))


@pytest.mark.parametrize(
    ("how", "error", "words"),
    [
        ({"protocol": "grpc"}, UsageError, "cannot set :authority to c.test"),
        ({"tls": True}, UsageError, "without TLS"),
    ],
)
def test_what_it_cannot_do_is_said(
    tmp_path: Path, how: dict[str, Any], error: type[TidegateError], words: str
) -> None:
    with pytest.raises(error, match=words):
        measure(binary(tmp_path), **how)


def test_a_binary_that_is_gone_is_told(tmp_path: Path) -> None:
    with pytest.raises(UnavailableError, match="cannot be run"):
        measure(tmp_path / "nothing")
