"""The process behind `MlflowServer`: `mlflow server` with one import of MLflow instead of two."""

import os
import sys
from pathlib import Path


def settings(directory: Path) -> dict[str, str]:
    """What `mlflow server` hands to its workers for SQLite and proxied artifacts."""
    from mlflow.server import constants

    return {
        constants.BACKEND_STORE_URI_ENV_VAR: f"sqlite:///{directory / 'mlflow.db'}",
        constants.ARTIFACT_ROOT_ENV_VAR: "mlflow-artifacts:/",
        constants.SERVE_ARTIFACTS_ENV_VAR: "true",
        constants.ARTIFACTS_DESTINATION_ENV_VAR: str(directory / "artifacts"),
    }


def main(directory: Path, port: int) -> None:
    """Create the database if there is none, then serve on loopback until SIGTERM."""
    # Asynchronous jobs would start processes of their own, and nothing here uses them.
    os.environ["MLFLOW_SERVER_ENABLE_JOB_EXECUTION"] = "false"
    os.environ["_MLFLOW_SGI_NAME"] = "uvicorn"
    os.environ.update(settings(directory))
    import uvicorn
    from mlflow.server.handlers import initialize_backend_stores

    initialize_backend_stores(
        f"sqlite:///{directory / 'mlflow.db'}", default_artifact_root="mlflow-artifacts:/"
    )
    from mlflow.server.fastapi_app import app

    uvicorn.run(app, host="127.0.0.1", port=port, log_level="warning", timeout_graceful_shutdown=2)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
