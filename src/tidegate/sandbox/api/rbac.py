"""Who may do what, when a test wants to know: rules by user, as Roles have them. Pure.

The user is the bearer token. Whoever sends none is the administrator, so that everything else goes on.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from tidegate.sandbox.api.addresses import Address
from tidegate.sandbox.api.errors import ApiError

_VERBS = {"POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One rule; `namespace` and `name` are empty where it holds for all of them."""

    verb: str
    group: str
    resource: str  # with its subresource: pods/log
    namespace: str = ""
    name: str = ""

    def allows(self, asked: "Rule") -> bool:
        """Every field agrees, or is left open here."""
        same = (self.verb, self.group, self.resource) == (asked.verb, asked.group, asked.resource)
        return same and self.namespace in {"", asked.namespace} and self.name in {"", asked.name}


Rules = Mapping[str, Iterable[Rule]]


def verb_of(method: str, at: Address, *, watch: bool) -> str:
    """The verb as a Role names it."""
    if method in {"GET", "HEAD"}:
        return "watch" if watch else "get" if at.name else "list"
    return "deletecollection" if method == "DELETE" and not at.name else _VERBS.get(method, "")


def asked_for(method: str, at: Address, *, watch: bool) -> Rule:
    """What a request needs."""
    resource = at.kind.plural + (f"/{at.subresource}" if at.subresource else "")
    return Rule(
        verb=verb_of(method, at, watch=watch), group=at.kind.group, resource=resource,
        namespace=at.namespace, name=at.name,
    )  # fmt: skip


def check(rules: Rules, token: str, asked: Rule, at: Address) -> None:
    """Raise the 403 that a real server answers, unless a rule of the token's user allows it."""
    if token and not any(rule.allows(asked) for rule in rules.get(token, ())):
        raise _forbidden(token, asked, at)


def allowed(rules: Rules, user: str, attributes: Mapping[str, str]) -> bool:
    """What an access review answers: `attributes` are its `resourceAttributes`, absent = all of them."""
    below = attributes.get("subresource", "")
    asked = Rule(
        verb=attributes.get("verb", ""),
        group=attributes.get("group", ""),
        resource=attributes.get("resource", "") + (f"/{below}" if below else ""),
        namespace=attributes.get("namespace", ""),
        name=attributes.get("name", ""),
    )
    return any(rule.allows(asked) for rule in rules.get(user, ()))


def _forbidden(user: str, asked: Rule, at: Address) -> ApiError:
    named = f' "{at.name}"' if at.name else ""
    where = f'in the namespace "{at.namespace}"' if at.namespace else "at the cluster scope"
    message = (
        f'{at.kind.resource}{named} is forbidden: User "{user}" cannot {asked.verb} resource '
        f'"{asked.resource}" in API group "{asked.group}" {where}'
    )
    details = {"name": at.name, "kind": at.kind.plural} | (
        {"group": asked.group} if asked.group else {}
    )
    return ApiError(403, "Forbidden", message, details)
