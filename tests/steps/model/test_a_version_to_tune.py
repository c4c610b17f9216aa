"""tune on a model version of a real MLflow: it becomes a repository first, by the steps of a release."""

from pathlib import Path

import pytest

from tidegate.errors import DocumentError, NotPromotedError
from tidegate.operations.tuning.source import from_policy

pytestmark = [pytest.mark.real, pytest.mark.usefixtures("registry")]


def policy(folder: Path, more: str = "") -> str:
    path = folder / "policy.yaml"
    path.write_text(f"name: digits\nmodel: {{uri: 'models:/digits@champion'}}\n{more}")
    return str(path)


def test_a_version_is_fetched_converted_and_configured_into_a_folder_that_is_gone_afterwards(
    tmp_path: Path,
) -> None:
    with from_policy(policy(tmp_path, "triton: {max_batch_size: 8}\n"), "") as source:
        assert (source.repository / "digits" / "config.pbtxt").is_file()
        assert (source.config.name, source.config.max_batch_size) == ("digits", 8)
        assert set(source.golden.outputs) == {tensor.name for tensor in source.config.output}
        assert source.policy.name == "digits"
    assert not source.repository.exists()


def test_a_version_that_is_refused_before_it_is_served_cannot_be_tuned(tmp_path: Path) -> None:
    strict = policy(tmp_path, "parity: {min_rows: 100000}\n")
    with (
        pytest.raises(NotPromotedError, match="nothing to tune: optimize said INCONCLUSIVE: "),
        from_policy(strict, ""),
    ):
        pass


def test_a_model_that_kserves_own_server_serves_has_no_settings_of_triton_to_tune(
    tmp_path: Path,
) -> None:
    kept = policy(tmp_path, "serving: {format: sklearn}\n")
    with (
        pytest.raises(DocumentError, match="'sklearn': tune searches settings of Triton"),
        from_policy(kept, ""),
    ):
        pass
