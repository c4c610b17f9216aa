"""What KServe and Triton are told, of the incumbent and of the candidate: for the report to compare."""

from typing import Any

import yaml

from tidegate.core.redaction import redacted
from tidegate.documents import ConfigText, Deployment
from tidegate.errors import TidegateError
from tidegate.policy.serving import TRITON
from tidegate.steps.announcing import within

TEMPLATE = "InferenceService spec.predictor"
PERCENT = "canaryTrafficPercent"  # moves with every step, and is in the timeline
WITHIN_S = 4.0


def compared(
    deployment: Deployment, template: dict[str, Any]
) -> tuple[tuple[ConfigText, ...], list[str]]:
    """The predictor's template and every config.pbtxt of both; and what could not be read.

    `template` is the candidate's as the journal keeps it, {} when it is not known.
    """
    incumbent, warnings = deployment.incumbent, list[str]()
    before = incumbent.predictor if incumbent else {}
    texts = [ConfigText(name=TEMPLATE, incumbent=_yaml(before), candidate=_yaml(template))]
    if deployment.repository.format != TRITON:  # the template is all that its server is told
        return tuple(text for text in texts if text.incumbent or text.candidate), warnings
    new = _configs(deployment.storage_uri, "the candidate", warnings)
    old = _configs(incumbent.storage_uri, "the incumbent", warnings) if incumbent else {}
    texts += [
        ConfigText(name=name, incumbent=old.get(name), candidate=new.get(name))
        for name in sorted(old.keys() | new.keys())
    ]
    return tuple(text for text in texts if text.incumbent or text.candidate), warnings


def _yaml(predictor: dict[str, Any]) -> str | None:
    shown = {key: value for key, value in redacted(predictor).items() if key != PERCENT}
    return yaml.safe_dump(shown, sort_keys=True, width=100) if shown else None


def _configs(uri: str, whose: str, warnings: list[str]) -> dict[str, str]:
    """Storage may be a mount that hangs, or not be mounted where the report is written."""
    from tidegate.adapters.storage.reading import config_texts

    try:
        return within(
            lambda: config_texts(uri), f"reading {whose}'s config.pbtxt", seconds=WITHIN_S
        )
    except TidegateError as error:
        warnings.append(f"{whose}'s config.pbtxt is not shown: {error}")
        return {}
