"""publish: the repository goes to an immutable place whose name says what is in it."""

from dataclasses import dataclass

from tidegate.config import settings
from tidegate.documents import ModelRepository, Published, Word
from tidegate.steps.progress import say
from tidegate.steps.registry import InDocument, InPolicy, InTree, OutDocument, step


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedAt:
    """Where it lies."""

    verdict: str
    storage_uri: str


@step(touches="writes to the storage")
def publish(
    repository_document: InDocument,
    repository: InTree,
    policy_document: InPolicy,
    published: OutDocument,
) -> PublishedAt:
    """Upload the model repository once; the same content is found and not uploaded again.

    Args:
        repository_document: The ModelRepository of configure.
        repository: The model repository.
        policy_document: The effective policy.
        published: Where the Published document is written.
    """
    from tidegate.adapters import files, trees
    from tidegate.adapters.storage.publishing import publish as upload

    document = files.read(repository_document, ModelRepository)
    policy = files.read_policy(policy_document)
    trees.require(repository, document.digest, what="repository")
    short = document.digest.removeprefix("sha256:")[:12]
    uri, uploaded = upload(
        repository,
        document.digest,
        parent=settings().need("storage_uri"),
        path=f"{policy.name}/{document.model_version}-{short}",
    )
    files.write(
        published,
        Published(
            subject=document.subject, repository=document, storage_uri=uri, uploaded=uploaded
        ),
    )
    say("publish", f"{'uploaded to' if uploaded else 'already at'} {uri}")
    return PublishedAt(verdict=Word.PASS.value, storage_uri=uri)
