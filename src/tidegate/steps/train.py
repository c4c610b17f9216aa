"""train: a user's own training, before the release of what it registers."""

from dataclasses import dataclass

from tidegate.steps.heartbeat import beating
from tidegate.steps.progress import say
from tidegate.steps.registry import step


@dataclass(frozen=True, slots=True, kw_only=True)
class Trained:
    """The version that the training registered; '' = nothing new."""

    model_uri: str


@step(image="trainer", gpu=True, touches="whatever your training does; MLflow, where it registers")
def train(command: str, release_id: str) -> Trained:
    """Run a training command, which registers a model version and says its URI.

    Args:
        command: By a shell; it writes models:/name/version to $TIDEGATE_MODEL_URI_FILE, or an empty file
            when there is nothing to release.
        release_id: Identifies this run, so that no earlier training is taken for it.
    """
    from tidegate.adapters.training import model_uri_of

    with beating("train", f"training for run {release_id}"):
        uri = model_uri_of(command)
    say("train", f"registered {uri}" if uri else "registered nothing")
    return Trained(model_uri=uri)
