"""Train, then release what came of it: your own training before tidegate's, as one Kubeflow pipeline.

`python examples/training/pipeline.py` writes train_and_release.yaml beside it.
"""

from pathlib import Path
from typing import NamedTuple

from kfp import compiler, components, dsl

ROOT = Path(__file__).parents[2]
TRAINER = "registry.example.com/ml/trainer:1"  # an image of your own: your code, kfp, mlflow


@dsl.component(base_image=TRAINER, install_kfp_package=False)
def train(model: str, rows: int) -> NamedTuple(
    "Trained", [("model_uri", str), ("accuracy", float)]
):
    """Fit, evaluate and register a model; the image has trainer.py on its PYTHONPATH."""
    from collections import namedtuple

    from trainer import retrain

    done = retrain(model, rows=rows)
    print(done.why)
    return namedtuple("Trained", ["model_uri", "accuracy"])(done.model_uri, done.accuracy)


@dsl.pipeline(name="release-if-new")
def release_if_new(policy: str, model_uri: str) -> None:
    """The release, where the trainer registered something.

    A pipeline of its own: kfp's local runner (2.17) skips a branch on an output of a task beside it.
    """
    release = components.load_component_from_file(str(ROOT / "pipelines" / "release.yaml"))
    with dsl.If(model_uri != "", name="something-new"):
        release(policy=policy, model_uri=model_uri)


@dsl.pipeline(
    name="train-and-release", description="Trains a model and releases it behind evidence."
)
def train_and_release(policy: str, model: str = "digits", rows: int = 1000) -> None:
    """Release what the trainer registered; end green and touch nothing when it registered nothing.

    Args:
        policy: The policy, by reference (see the release pipeline).
        model: The registered model.
        rows: How much of the data there is.
    """
    trained = train(model=model, rows=rows).set_caching_options(False)
    release_if_new(policy=policy, model_uri=trained.outputs["model_uri"])


if __name__ == "__main__":
    compiler.Compiler().compile(
        train_and_release, str(Path(__file__).with_name("train_and_release.yaml"))
    )
