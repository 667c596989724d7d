"""Errors of the library: each one names the field that caused it."""


class PkError(ValueError):
    """Base of all errors raised here; `field` says where to look."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(f"{field}: {message}")
        self.field = field
        self.message = message


class CaseError(PkError):
    """A dose, level or covariate cannot be what it says."""


class MissingCovariateError(CaseError):
    """The model needs a covariate that it may not impute."""


class ModelFileError(PkError):
    """A model file is malformed; `field` is file:key."""


class UnknownModelError(PkError):
    """No model file has this name."""


class OutOfDomainError(PkError):
    """The model gives no meaningful typical value for these covariates."""


class LevelNotUsedError(PkError):
    """A level could not enter the likelihood.

    Raised instead of returning an estimate that silently ignored it.
    """


class OptionsError(PkError):
    """An option of a fit lies outside what it may be."""


class NotReliableError(PkError):
    """The fit cannot carry a dose proposal; `reasons` says why."""

    def __init__(self, reasons: tuple[str, ...]) -> None:
        super().__init__("posterior", "; ".join(reasons))
        self.reasons = reasons


class NotSupportedError(PkError):
    """The model's structure has no solution for what was asked."""
