"""Carries out what the rules of `core.traffic` decide: reads, acts under the Lease, journals, reads again.

Shared by deploy, promote, roll-back, guard and sweep; it decides nothing itself.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from tidegate.core.causes import webhook_rejection
from tidegate.core.decisions import (
    Act,
    Decision,
    Done,
    Prove,
    Refuse,
    Suspicion,
    Wait,
    diagnosed,
)
from tidegate.core.journal import ActKind, ActRecord, Journal, Phase
from tidegate.core.takeover import taken_over
from tidegate.documents import Result, TrafficStep, Word
from tidegate.errors import ConflictError, RejectedError, UnavailableError
from tidegate.policy import Policy
from tidegate.steps import telling
from tidegate.steps.progress import say
from tidegate.steps.stopping import stop_if_asked
from tidegate.steps.writing import written

if TYPE_CHECKING:
    from tidegate.adapters.keda import ScaledObjects
    from tidegate.adapters.kubernetes import Kubernetes
    from tidegate.adapters.release_lock import StoredJournal
    from tidegate.core.observation import Observation

POLL_S = 0.5
SAY_EVERY_S = 4.0
GRACE_S = 300.0  # beyond what a phase may take by its own limits

Decide = Callable[["Observation | None", Journal, float], Decision]


class Driver:
    """One release's hand on one InferenceService."""

    def __init__(
        self,
        kube: "Kubernetes",
        stored: "StoredJournal",
        *,
        step: str,
        holder: str = "",
        poll_s: float = POLL_S,
        policy: Policy | None = None,
    ) -> None:
        from tidegate.adapters.inference_service import InferenceServices
        from tidegate.adapters.release_lock import Lease

        journal = stored.journal
        self._kube, self._stored, self._step, self._policy = kube, stored, step, policy
        self.poll_s = poll_s
        self.known_warnings: frozenset[str] | None = None  # set: Warning events since then are read
        self.service = InferenceServices(kube, journal.namespace, journal.name)
        self._lease = Lease(kube, journal.namespace, journal.name, holder or journal.release_id)
        self._said = (0.0, "")
        self._meant = journal  # the last write that was tried

    @property
    def journal(self) -> Journal:
        """As last written."""
        return self._stored.journal

    @property
    def stored(self) -> "StoredJournal":
        """The journal with the ConfigMap it came from."""
        return self._stored

    @property
    def scaled_objects(self) -> "ScaledObjects":
        """KEDA's, in the namespace of the service."""
        from tidegate.adapters.keda import ScaledObjects

        return ScaledObjects(self._kube, self.journal.namespace)

    def say(self, message: str) -> None:
        """Progress of the step that drives."""
        say(self._step, message)

    @contextmanager
    def facing(self, name: str) -> Iterator[None]:
        """Look at and write to another InferenceService of this release: its preview."""
        from tidegate.adapters.inference_service import InferenceServices

        before = self.service
        self.service = InferenceServices(self._kube, self.journal.namespace, name)
        try:
            yield
        finally:
            self.service = before

    # -- journal

    def save(self, journal: Journal) -> None:
        """Write the journal, if nobody else did meanwhile. Raises ConflictError."""
        from tidegate.adapters.release_lock import save_journal

        before, self._meant = self._meant, journal
        try:
            self._stored = save_journal(self._kube, journal, self._stored)
        except ConflictError as error:
            if not self._is_written(before):
                self._reload(error)
                raise
            self._stored = save_journal(self._kube, journal, self._stored)
        telling.tell_state(self.journal)

    def _is_written(self, meant: Journal) -> bool:
        """An earlier write whose answer never came was made all the same; this one goes over it."""
        from tidegate.adapters.release_lock import reload_journal

        now = reload_journal(self._kube, self._stored)
        if now is None or now.journal != meant or meant == self.journal:
            return False
        self._stored = now
        return True

    def enter(self, phase: Phase, within_s: float, **update: object) -> None:
        """Begin a phase that must be over by then; who finds it later may undo the release."""
        changes = {"phase": phase, "deadline_s": time.time() + within_s, **update}
        self.save(self.journal.model_copy(update=changes))

    def add(self, step: TrafficStep) -> None:
        """Note a step of traffic with its evidence."""
        self.save(self.journal.model_copy(update={"steps": (*self.journal.steps, step)}))

    def end(self, outcome: Result, reason: str, **changes: object) -> None:
        """Close the journal, and free a Lease that a dead process of this release still holds."""
        from tidegate.adapters.act_events import tell_end

        self.save(self.journal.confirming(time.time()).ended(outcome, reason, **changes))
        self._lease.release()
        tell_end(self._kube, self.journal)
        telling.tell_end(self.journal)

    def alarm(self, message: str) -> None:
        """Tell the cluster too that somebody has to act."""
        from tidegate.adapters.act_events import tell_alarm

        tell_alarm(self._kube, self.journal, message)
        telling.tell_alarm(self.journal, message)

    def look(self) -> "Observation | None":
        """What is there now. Raises ConflictError when somebody has taken the release over.

        The journal is read last: who takes over writes it before anything else, so what was seen before
        is nobody else's doing.
        """
        seen = self.service.look(known_warnings=self.known_warnings)
        self._require_ours()
        return seen

    def _require_ours(self) -> None:
        from tidegate.adapters.release_lock import reload_journal

        now = reload_journal(self._kube, self._stored)
        if now is None:  # deleted, which is no take-over: without it nobody would own the share
            self.save(self.journal)
            return
        if now.journal not in (self.journal, self._meant):
            raise ConflictError(taken_over(self.journal, now.journal))
        self._stored = now  # a write of ours whose answer was lost is known by what it wrote

    # -- the loop

    def drive(
        self,
        decide: Decide,
        *,
        within_s: float,
        returning: bool = False,
    ) -> Done | Refuse | Wait:
        """Read, act, read again until it is done or refused; the last Wait when time runs out.

        A return heeds no signal, and waits for an answer that is not right yet: there is nowhere else to go.
        """
        started, suspicion = time.monotonic(), Suspicion()
        while True:
            waited = time.monotonic() - started
            decision = self._turn(decide, waited, returning)
            if isinstance(decision, Done | Refuse):
                return self._closed(decision)
            suspicion = suspicion.after(decision, waited)
            if refusal := suspicion.refusal(decision, waited):
                return self._closed(refusal)
            if isinstance(decision, Wait) and waited > within_s:
                return decision
            if not returning:
                stop_if_asked()
            self._pause(decision, waited)

    def _turn(self, decide: Decide, waited: float, returning: bool) -> Decision:
        """One look and at most one act. An API that is away, or a lost race, is waited for."""
        try:
            return self._look_and_act(decide, waited, returning)
        except UnavailableError as error:
            return Wait(what=f"the Kubernetes API ({error})")

    def _look_and_act(self, decide: Decide, waited: float, returning: bool) -> Decision:
        try:
            seen = self.look()
            decision = decide(seen, self.journal, waited)
            if isinstance(decision, Act):
                self.act(decision, seen)
            if isinstance(decision, Prove):
                proved = self._prove(decision)
                return Wait(what=proved.reason) if returning and proved else proved or decision
        except ConflictError as error:
            self._reload(error)
            return Wait(what=f"a quiet moment ({error})")
        except RejectedError as error:
            rejected = webhook_rejection(str(error))
            if rejected is None:
                raise
            return diagnosed(rejected, "the cluster refused the change")
        return decision

    def _reload(self, error: ConflictError) -> None:
        """A lost race on the InferenceService is harmless; a lost race on the journal is a second hand."""
        from tidegate.adapters.release_lock import reload_journal

        now = reload_journal(self._kube, self._stored)
        if now is not None and now.journal != self.journal:
            raise ConflictError(taken_over(self.journal, now.journal)) from error

    def _closed(self, decision: Done | Refuse) -> Done | Refuse:
        if isinstance(decision, Done) and any(a.confirmed_s is None for a in self.journal.acts):
            self.save(self.journal.confirming(time.time()))
        self.say(decision.what if isinstance(decision, Done) else decision.reason)
        return decision

    def _pause(self, decision: Decision, waited: float) -> None:
        what = decision.what if isinstance(decision, Wait) else ""
        at, last = self._said
        if what and (what != last or time.monotonic() - at > SAY_EVERY_S):
            self.say(f"waiting for {what} ({waited:.0f} s)")
            self._said = (time.monotonic(), what)
        time.sleep(self.poll_s if what else self.poll_s / 2)

    def _prove(self, proof: Prove) -> Refuse | None:
        """Ask, and note the right answer; or why it did not come."""
        from tidegate.adapters.served_model import answers_as

        self.say(f"asking {proof.host} for {proof.probe.model} version {proof.probe.version}")
        try:
            answers_as(proof.host, proof.probe, say=self.say)
        except RejectedError as error:
            return Refuse(word=Word.FAIL, reason=str(error))
        except (ConflictError, UnavailableError) as error:
            return Refuse(word=Word.INVALID, reason=str(error))
        proofs = (*self.journal.proofs, proof.key)
        self.save(self.journal.model_copy(update={"proofs": proofs}))
        return None

    # -- acts

    def act(self, act: Act, seen: "Observation | None") -> None:
        """Journal the intent and write, under the Lease."""
        from tidegate.adapters.act_events import tell_act

        record = ActRecord(kind=act.kind, percent=act.percent, why=act.why, intended_s=time.time())
        with self._lease.held():
            self.say(f"{act.why} (release {self.journal.release_id})")
            intended = self.journal.intending(record)
            if intended is not self.journal:
                self._intend(intended, act)
            now = written(self, act, seen, self._policy)
            if now and act.kind in {ActKind.PREVIEW, ActKind.CREATE, ActKind.STAGE}:
                noted = {"template": now.template, "companions": dict(now.companions)}
                self.save(self.journal.model_copy(update=noted))
        tell_act(self._kube, self.journal, record)
        telling.tell_act(self.journal, record)

    def _intend(self, intended: Journal, act: Act) -> None:
        """An intent that cannot be noted forbids its act, but for the one that only takes a share back."""
        try:
            self.save(intended)
        except (UnavailableError, RejectedError) as error:
            if (act.kind, act.percent) != (ActKind.SHIFT, 0):
                raise
            self.say(f"not journalled, but done, for production comes first: {error}")
