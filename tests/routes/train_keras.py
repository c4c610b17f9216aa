"""Trains and registers a model on TensorFlow, and keeps its answers: `train_keras.py <kind> <folder> <name>`.

A process of its own: Keras' backend is chosen for good when it is imported.
"""

import os
import sys
from pathlib import Path
from typing import Any

os.environ["KERAS_BACKEND"] = "tensorflow"
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
os.environ["CUDA_VISIBLE_DEVICES"] = "-1"

import keras
import mlflow
import mlflow.keras
import mlflow.tensorflow
import numpy as np
import tensorflow as tf

DRAW = np.random.default_rng(4)
IMAGES = DRAW.normal(size=(120, 8, 8, 1)).astype(np.float32)
SERIES = DRAW.normal(size=(120, 6, 4)).astype(np.float32)
FACTS = DRAW.normal(size=(120, 3)).astype(np.float32)
TRUTH = (IMAGES.mean(axis=(1, 2, 3)) > 0).astype(np.int64)
layers = keras.layers


def convolution() -> tuple[keras.Model, dict[str, Any]]:
    model = keras.Sequential(
        [
            keras.Input((8, 8, 1)), layers.Conv2D(6, 3, activation="relu"), layers.BatchNormalization(),
            layers.GlobalAveragePooling2D(), layers.Dense(3, activation="softmax"),
        ]
    )  # fmt: skip
    return fitted(model, IMAGES), {"input": IMAGES}


def two_inputs() -> tuple[keras.Model, dict[str, Any]]:
    """Series of any length beside a row of facts."""
    series, facts = keras.Input((None, 4), name="series"), keras.Input((3,), name="facts")
    seen = layers.GlobalMaxPooling1D()(
        layers.Conv1D(8, 3, padding="same", activation="relu")(series)
    )
    both = layers.Dense(16, activation="gelu")(layers.Concatenate()([seen, facts]))
    model = keras.Model([series, facts], [layers.Dense(3, activation="softmax")(both)])
    return fitted(model, [SERIES, FACTS]), {"series": SERIES, "facts": FACTS}


def recurrent() -> tuple[keras.Model, dict[str, Any]]:
    model = keras.Sequential(
        [keras.Input((6, 4)), layers.LSTM(8), layers.Dense(3, activation="softmax")]
    )
    return fitted(model, SERIES), {"input": SERIES}


def code() -> tuple[keras.Model, dict[str, Any]]:
    """With a layer that is somebody's code."""
    model = keras.Sequential(
        [keras.Input((8, 8, 1)), layers.Lambda(lambda x: x * 2), layers.Flatten(), layers.Dense(2)]
    )
    return fitted(model, IMAGES), {"input": IMAGES}


def fitted(model: keras.Model, rows: Any) -> keras.Model:
    model.compile("adam", "sparse_categorical_crossentropy")
    model.fit(rows, TRUTH, epochs=2, verbose=0)
    return model


PIXELS = tf.TensorSpec([None, 8, 8, 1], tf.float32, name="pixels")


class Scorer(tf.Module):  # type: ignore[misc]
    """Of TensorFlow's own: no Keras."""

    def __init__(self) -> None:
        super().__init__()
        self.weights = tf.Variable(tf.random.stateless_normal((8, 2), seed=(1, 2)))

    def scored(self, pixels: Any) -> dict[str, Any]:
        return {"scores": tf.nn.softmax(tf.reduce_mean(pixels, axis=[1, 3]) @ self.weights)}

    def fit(self) -> None:
        """Some steps of descent."""
        for _ in range(20):
            with tf.GradientTape() as tape:
                scores = self.scored(IMAGES)["scores"]
                loss = -tf.reduce_mean(tf.math.log(tf.gather(scores, TRUTH, axis=1, batch_dims=1)))
            self.weights.assign_sub(0.5 * tape.gradient(loss, self.weights))


class Declared(Scorer):
    """Saved with the signature that its function declares."""

    @tf.function(input_signature=[PIXELS])  # type: ignore[untyped-decorator]
    def __call__(self, pixels: Any) -> dict[str, Any]:
        return self.scored(pixels)


class Traced(Scorer):
    """Saved without a signature: its function has seen one kind of rows."""

    @tf.function  # type: ignore[untyped-decorator]
    def __call__(self, pixels: Any) -> dict[str, Any]:
        return self.scored(pixels)


class Gamma(Scorer):
    """With an operator that ONNX does not have."""

    @tf.function(input_signature=[PIXELS])  # type: ignore[untyped-decorator]
    def __call__(self, pixels: Any) -> dict[str, Any]:
        return self.scored(tf.math.lgamma(pixels + 10.0))


def gamma() -> tuple[Any, dict[str, Any]]:
    return Gamma(), {"pixels": IMAGES}


def declared() -> tuple[Any, dict[str, Any]]:
    made = Declared()
    made.fit()
    return made, {"pixels": IMAGES}


def traced() -> tuple[Any, dict[str, Any]]:
    made = Traced()
    made.fit()
    made.__call__.get_concrete_function(PIXELS)
    return made, {"pixels": IMAGES}


MODELS = {
    "convolution": convolution, "code": code, "two_inputs": two_inputs, "recurrent": recurrent,
    "declared": declared, "traced": traced, "gamma": gamma,
}  # fmt: skip


def logged(flavor: str, model: Any) -> Any:
    if flavor == "tensorflow":
        return mlflow.tensorflow.log_model(model, name="model", pip_requirements=[])
    if flavor == "keras":
        return mlflow.keras.log_model(model, name="model", pip_requirements=[])
    signature = mlflow.models.infer_signature(IMAGES, np.asarray(model(IMAGES)))
    return mlflow.keras.log_model(
        model, name="model", pip_requirements=[], save_exported_model=True, signature=signature
    )


def main(kind: str, flavor: str, folder: Path, name: str) -> None:
    keras.utils.set_random_seed(0)
    model, rows = MODELS[kind]()
    given = list(rows.values())
    found = model(given if len(given) > 1 else given[0])
    np.savez(folder / "rows.npz", **rows)
    found = found if isinstance(found, dict) else {"output": found}
    np.savez(folder / "answers.npz", **{n: np.asarray(a) for n, a in found.items()})
    (folder / "golden").mkdir()
    np.savez(folder / "golden" / "golden.npz", **{f"input.{n}": a for n, a in rows.items()})
    with mlflow.start_run():
        info = logged(flavor, model)
    mlflow.MlflowClient().log_model_artifacts(info.model_id, str(folder / "golden"))
    number = mlflow.register_model(info.model_uri, name).version
    (folder / "uri").write_text(f"models:/{name}/{number}")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], Path(sys.argv[3]), sys.argv[4])
