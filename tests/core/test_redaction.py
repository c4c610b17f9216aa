"""What of a manifest is shown in a report."""

import pytest

from tidegate.core.redaction import HIDDEN, redacted


@pytest.mark.parametrize("name", ["API_TOKEN", "db-password", "AWS_SECRET_ACCESS_KEY", "apiKey"])
def test_a_value_whose_name_says_secret_is_hidden(name: str) -> None:
    shown = redacted({"containers": [{"env": [{"name": name, "value": "hunter2"}]}]})
    assert shown == {"containers": [{"env": [{"name": name, "value": HIDDEN}]}]}


def test_what_only_names_a_secret_and_what_is_none_is_shown() -> None:
    source = {"secretKeyRef": {"name": "s3-secret", "key": "token"}}
    env = [{"name": "TOKEN", "valueFrom": source}, {"name": "LOG_LEVEL", "value": "info"}]
    assert redacted({"env": env, "minReplicas": 1}) == {"env": env, "minReplicas": 1}
