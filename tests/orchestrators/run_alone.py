"""Runs one component in a one-task pipeline fed by importers, on kfp's own local runner.

A process of its own: kfp swaps the root logger and prints to stdout. The last line is the executor's output.

python run_alone.py <component.yaml> <folder> <parameters as JSON> <artifact URIs as JSON>
"""

import json
import sys
from pathlib import Path
from typing import Any

from kfp import components, dsl, local

CLASSES = {"system.Artifact": dsl.Artifact, "system.Model": dsl.Model}


def main(path: str, root: str, parameters: dict[str, Any], uris: dict[str, str]) -> None:
    """The component's task is the only one besides the importers."""
    component = components.load_component_from_file(path)
    inputs = component.component_spec.inputs or {}

    def one() -> None:
        imported = {
            name: dsl.importer(
                artifact_uri=uri,
                artifact_class=CLASSES[inputs[name].type.partition("@")[0]],
                reimport=True,
            ).output
            for name, uri in uris.items()
        }
        component(**parameters, **imported).set_caching_options(False)

    pipeline = dsl.pipeline(name="alone")(one)
    local.init(runner=local.SubprocessRunner(use_venv=False), pipeline_root=root)
    pipeline()
    (output,) = Path(root).glob(f"*/{Path(path).parent.name}/executor_output.json")
    sys.stdout.write("\n" + json.dumps(json.loads(output.read_text())) + "\n")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], json.loads(sys.argv[3]), json.loads(sys.argv[4]))
