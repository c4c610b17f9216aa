"""The documents that cross a step boundary: what each must say, and whom it is about.

Strict and versioned: an unknown key, "1" for 1, NaN, or another schema version is refused, because a
document that is nearly right is how a release judges the wrong model. No I/O here; files are read and
written by `tidegate.adapters.files`.
"""

from tidegate.documents.base import Document, Finding, Strict, Subject
from tidegate.documents.curve import Capacity, CrossCheck, CurvePoint
from tidegate.documents.deployment import DedicatedBaseline, Deployment, Incumbent, Probe
from tidegate.documents.evidence import Arm, ArmSummary, Block, Generator, LoadReport, Verdict
from tidegate.documents.model import (
    Candidate,
    Engine,
    FetchedModel,
    ModelRepository,
    OptimizedModel,
    OutputParity,
    Package,
    Parity,
    Published,
    RepositoryModel,
    ShapeRange,
    StepDown,
    Tensor,
    TreeFile,
)
from tidegate.documents.outcome import (
    AnyDocument,
    ConfigText,
    LiveLook,
    Outcome,
    Refusal,
    Report,
    TrafficStep,
)
from tidegate.documents.replayable import Evidence, Judged
from tidegate.documents.tuning import OpenLoop, ServiceTime, Setting, Trial, Tuning
from tidegate.documents.words import SEVERITY, Result, Word, worst

__all__ = [
    "SEVERITY",
    "AnyDocument",
    "Arm",
    "ArmSummary",
    "Block",
    "Candidate",
    "Capacity",
    "ConfigText",
    "CrossCheck",
    "CurvePoint",
    "DedicatedBaseline",
    "Deployment",
    "Document",
    "Engine",
    "Evidence",
    "FetchedModel",
    "Finding",
    "Generator",
    "Incumbent",
    "Judged",
    "LiveLook",
    "LoadReport",
    "ModelRepository",
    "OpenLoop",
    "OptimizedModel",
    "Outcome",
    "OutputParity",
    "Package",
    "Parity",
    "Probe",
    "Published",
    "Refusal",
    "Report",
    "RepositoryModel",
    "Result",
    "ServiceTime",
    "Setting",
    "ShapeRange",
    "StepDown",
    "Strict",
    "Subject",
    "Tensor",
    "TrafficStep",
    "TreeFile",
    "Trial",
    "Tuning",
    "Verdict",
    "Word",
    "worst",
]
