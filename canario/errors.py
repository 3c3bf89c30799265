"""Every error that canario raises on purpose, in one tree; the faces (CLI, REST, gRPC) only translate.

CanarioError                     1   500  INTERNAL
├── UsageError                   2   400  INVALID_ARGUMENT     what a person typed or wrote does not fit
│   ├── CardError                                              a model's card (model.yaml)
│   └── PlanError                                              a rollout's plan (rollout.yaml, flags)
├── InputError                   1   400  INVALID_ARGUMENT     a request's content does not fit the card
│   ├── TooLarge                     413  RESOURCE_EXHAUSTED   more bytes or rows than the limits allow
│   └── UnsupportedMedia             415  INVALID_ARGUMENT     a content type that is not accepted
├── NotFound                     1   404  NOT_FOUND            no such model, version, prediction or rollout
├── Conflict                     1   409  FAILED_PRECONDITION  the state does not allow it now
├── IntegrityError               1   500  DATA_LOSS            stored or imported bytes are not what they claim
│   ├── DigestMismatch
│   ├── LibraryMismatch
│   ├── SignatureMismatch
│   └── UntrustedCode                                          loading it would run code that nobody vouched for
├── KernelError                  1   500  INTERNAL             the model itself failed on a valid row
├── Unavailable                  1   503  UNAVAILABLE          not ready, draining or out of reach: try again
│   ├── EvidenceLost                                           a source of evidence cannot be read
│   └── Overloaded                   503  RESOURCE_EXHAUSTED
├── ClusterRefused               1   500  FAILED_PRECONDITION  the API server of a cluster does not allow it
├── RouterError                  1   500  INTERNAL             the router refused its configuration or died
├── TooManyRejects               3   409  ABORTED              more rows of a batch don't fit the card than the limit allows
├── PreflightFailed              3   409  ABORTED              a candidate answers a file too unlike stable to be put on trial
├── NotBetter                    3   409  ABORTED              a retraining's candidate was not shown to be better
└── RolledBack                   3   409  ABORTED              a rollout was judged bad and undone
"""

from __future__ import annotations

from typing import ClassVar


class CanarioError(Exception):
    """An error that says what happened, where (`at`) and what to do about it (`hint`)."""

    exit_code: ClassVar[int] = 1
    http_status: ClassVar[int] = 500
    grpc_status: ClassVar[str] = "INTERNAL"

    def __init__(self, message: str, *, at: str = "", hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.at = at
        self.hint = hint

    def __str__(self) -> str:
        where = f" (at {self.at})" if self.at else ""
        return f"{self.message}{where}"


class UsageError(CanarioError):
    exit_code = 2
    http_status = 400
    grpc_status = "INVALID_ARGUMENT"


class CardError(UsageError):
    """A card (model.yaml) that cannot be honoured; `at` names the file and the field."""


class PlanError(UsageError):
    """A rollout's plan that cannot be honoured; refused before anything starts."""


class InputError(CanarioError):
    """A request that does not fit the card; `at` is the path of the field inside the request."""

    http_status = 400
    grpc_status = "INVALID_ARGUMENT"

    def __init__(self, message: str, *, at: str = "", hint: str = "", column: str = "") -> None:
        super().__init__(message, at=at, hint=hint)
        self.column = column
        """The card's column whose cell does not fit; "" when it is not about one."""


class TooLarge(InputError):
    http_status = 413
    grpc_status = "RESOURCE_EXHAUSTED"


class UnsupportedMedia(InputError):
    http_status = 415


class NotFound(CanarioError):
    http_status = 404
    grpc_status = "NOT_FOUND"


class Conflict(CanarioError):
    http_status = 409
    grpc_status = "FAILED_PRECONDITION"


class IntegrityError(CanarioError):
    grpc_status = "DATA_LOSS"


class DigestMismatch(IntegrityError):
    """Bytes whose sha256 is not the recorded one."""


class LibraryMismatch(IntegrityError):
    """A version made with a library whose major version differs from the installed one."""


class SignatureMismatch(IntegrityError):
    """A version whose columns do not fit the ones expected here."""


class UntrustedCode(IntegrityError):
    """A version that can only run by unpickling code that nobody vouched for."""


class KernelError(CanarioError):
    """The model itself failed on a row that fits the card."""


class Unavailable(CanarioError):
    http_status = 503
    grpc_status = "UNAVAILABLE"


class EvidenceLost(Unavailable):
    """A source of evidence that cannot be read now; the engine treats it as unknown, never as good or bad."""


class Overloaded(Unavailable):
    grpc_status = "RESOURCE_EXHAUSTED"


class ClusterRefused(CanarioError):
    """What a cluster's API server refuses, in its own words; trying again does not mend it."""

    grpc_status = "FAILED_PRECONDITION"


class RouterError(CanarioError):
    """The router refused its configuration, or does not run."""


class TooManyRejects(CanarioError):
    """A batch that was stopped, because the share of its rows that don't fit the card is above the limit."""

    exit_code = 3
    http_status = 409
    grpc_status = "ABORTED"


class PreflightFailed(CanarioError):
    """A candidate that was not shown to answer a file enough like stable; its rollout was not begun."""

    exit_code = 3
    http_status = 409
    grpc_status = "ABORTED"


class NotBetter(CanarioError):
    """A candidate that was trained on fresh labels and not shown to be better than stable; it is not rolled out."""

    exit_code = 3
    http_status = 409
    grpc_status = "ABORTED"


class RolledBack(CanarioError):
    exit_code = 3
    http_status = 409
    grpc_status = "ABORTED"
