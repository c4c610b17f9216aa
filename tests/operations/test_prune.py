"""prune: what the cluster names in any way stays, the rest goes when it is told to."""

import os
import time
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from tests.steps.traffic.traffic_cluster import Cluster, clustered
from tidegate.adapters import trees
from tidegate.adapters.storage.publishing import publish
from tidegate.cli import app
from tidegate.errors import UsageError
from tidegate.operations import prune
from tidegate.sandbox.api.kubeconfig import write_kubeconfig
from tidegate.sandbox.api.rbac import Rule

OLD = time.time() - 30 * 86400


class Store:
    """A folder with versions of one service, oldest first; version n is n days younger than the first."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.uris = folder / "store", dict[int, str]()
        for version in range(1, 7):
            tree = folder / f"tree-{version}" / "m"
            tree.mkdir(parents=True)
            (tree / "config.pbtxt").write_text(f"# {version}")
            digest = trees.digest_of(trees.files_of(tree.parent))
            path = f"m/{version}-{digest.removeprefix('sha256:')[:12]}"
            self.uris[version], _ = publish(
                tree.parent, digest, parent=self.folder.as_uri(), path=path
            )
            at = OLD + version * 86400
            os.utime(self.folder / f"{path}.published.json", (at, at))

    def left(self) -> list[int]:
        there = {path.name for path in (self.folder / "m").iterdir()}
        return [n for n, uri in self.uris.items() if uri.rstrip("/").rpartition("/")[2] in there]


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    made = Store(tmp_path)
    monkeypatch.setenv("TIDEGATE_STORAGE_URI", made.folder.as_uri())
    return made


def pruned(*arguments: str) -> Any:
    return CliRunner().invoke(app, ["prune", "--keep", "2", *arguments])


def service(cluster: Cluster, uri: str) -> None:
    body = {
        "apiVersion": "serving.kserve.io/v1beta1", "kind": "InferenceService",
        "metadata": {"name": "somebodys", "namespace": "other"},
        "spec": {"predictor": {"model": {
            "modelFormat": {"name": "triton"}, "storageUri": uri, "runtime": "kserve-tritonserver",
            "protocolVersion": "v2",
        }}},
    }  # fmt: skip
    cluster.kube.request("POST", "/api/v1/namespaces", {"metadata": {"name": "other"}})
    cluster.kube.request(
        "POST", "/apis/serving.kserve.io/v1beta1/namespaces/other/inferenceservices", body
    )


def test_it_says_what_it_would_remove_and_touches_nothing(cluster: Cluster, store: Store) -> None:
    done = pruned()
    assert done.exit_code == 0
    assert [line.split()[0] for line in done.stdout.splitlines()] == ["keeps"] * 2 + ["would"] * 4
    assert (
        f"would remove {store.uris[1]} (0.0 MB, 29.0 days): older than the newest 2" in done.stdout
    )
    assert store.left() == [1, 2, 3, 4, 5, 6]


def test_what_a_service_a_revision_or_a_journal_names_stays_in_whatever_namespace(
    cluster: Cluster, store: Store
) -> None:
    service(cluster, store.uris[1])
    revisions = "/apis/serving.knative.dev/v1/namespaces/other/revisions"
    cluster.wait(lambda: bool(cluster.kube.request("GET", revisions)["items"]))
    path = "/apis/serving.kserve.io/v1beta1/namespaces/other/inferenceservices/somebodys"
    moved = {"spec": {"predictor": {"model": {"storageUri": store.uris[2]}}}}
    cluster.kube.request("PATCH", path, moved)
    cluster.wait(lambda: len(cluster.kube.request("GET", revisions)["items"]) == 2)
    labels = {"app.kubernetes.io/managed-by": "tidegate"}
    journal = {
        "metadata": {"name": "tidegate-m", "labels": labels},
        "data": {"history.json": f'{{"promoted": ["{store.uris[3]}"]}}'},
    }
    cluster.kube.request("POST", "/api/v1/namespaces/default/configmaps", journal)
    done = pruned("--remove")
    assert done.exit_code == 0, done.output
    assert store.left() == [1, 2, 3, 5, 6]
    assert sorted(path.name for path in (store.folder / "m").iterdir()) == sorted(
        [uri.rstrip("/").rpartition("/")[2] + end for n, uri in store.uris.items() if n != 4
         for end in ("", ".published.json")]
    )  # fmt: skip
    assert pruned("--remove").stdout.count("removed") == 0


def test_what_is_named_after_it_was_judged_stays(cluster: Cluster, store: Store) -> None:
    parent = store.folder.as_uri()
    found = prune.judged(cluster.kube, parent, keep=2, min_age_s=86400)
    service(cluster, store.uris[1])
    ended = {one.publication.uri: one for one in prune.removed(cluster.kube, parent, found)}
    assert store.left() == [1, 5, 6]
    assert (ended[store.uris[1]].goes, ended[store.uris[1]].why) == (False, "named in the cluster")


def test_what_another_prune_has_removed_is_gone_all_the_same(
    cluster: Cluster, store: Store
) -> None:
    parent = store.folder.as_uri()
    found = prune.judged(cluster.kube, parent, keep=2, min_age_s=86400)
    for _ in range(2):
        assert len([*prune.removed(cluster.kube, parent, found)]) == 6
    assert store.left() == [5, 6]


@pytest.mark.parametrize("given", [("--keep", "1"), ("--min-age-h", "nan"), ("--min-age-h", "-1")])
def test_a_way_back_must_stay_and_an_age_must_be_one(
    cluster: Cluster, store: Store, given: tuple[str, str]
) -> None:
    done = pruned("--remove", *given)
    assert isinstance(done.exception, UsageError), done.output
    assert store.left() == [1, 2, 3, 4, 5, 6]


SEES = {
    "inferenceservices": "serving.kserve.io", "revisions": "serving.knative.dev", "deployments": "apps",
    "configmaps": "",
}  # fmt: skip


@pytest.mark.parametrize("unseen", ["", *SEES])
def test_without_sight_of_every_namespace_nothing_is_removed(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, unseen: str
) -> None:
    rules = [
        Rule(verb="list", group=group, resource=kind)
        for kind, group in SEES.items()
        if kind != unseen
    ]
    with clustered(tmp_path, monkeypatch, {"robot": rules}) as cluster:
        path = write_kubeconfig(tmp_path / "robot", cluster.api.url, token="robot")
        monkeypatch.setenv("KUBECONFIG", str(path))
        done = pruned("--remove")
    assert (done.exit_code == 0) == (not unseen)
    assert store.left() == ([1, 2, 3, 4, 5, 6] if unseen else [5, 6])
