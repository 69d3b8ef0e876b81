"""The errors of bqloop, in one tree, so that an edge needs one `except` and knows whether to try again.

    BqloopError
    ├── ConfigurationError    settings or model.yml are wrong
    ├── TemplateError         a template does not render: its path and line
    ├── InputError            a file, message or request from outside is wrong
    ├── StatementError        BigQuery refuses a statement: template, line, job
    ├── StateError            the wanted step does not fit the state of things (no champion yet, a newer champion)
    └── RetryableError        the same call may succeed later
        ├── UnavailableError  a service is down, busy or over quota
        └── StillRunning      a job goes on beyond this call's deadline; call again to attach to it

Everything that is not a `RetryableError` is permanent: trying again without a change gives the same error.
"""


class BqloopError(Exception):
    """Base of all errors that bqloop raises on purpose; its text is meant for the person who has to act."""

    retryable = False


class ConfigurationError(BqloopError):
    """Settings or a model's policy are wrong; the text names the file and the key."""


class TemplateError(BqloopError):
    """A template does not render; the text gives its path and line."""


class InputError(BqloopError):
    """Something that came in from outside is wrong; the text names the field."""


class StatementError(BqloopError):
    """BigQuery refuses a statement.

    Attributes:
        reason: BigQuery's own error reason, such as `invalidQuery` or `bytesBilledLimitExceeded`.
    """

    def __init__(self, message: str, *, reason: str = "invalidQuery") -> None:
        super().__init__(message)
        self.reason = reason


class StateError(BqloopError):
    """The step does not fit the state of things; the text says what to do first."""


class RetryableError(BqloopError):
    """The same call may succeed later."""

    retryable = True


class UnavailableError(RetryableError):
    """A service is down, busy or over its quota; the text names the service and its address."""


class StillRunning(RetryableError):  # noqa: N818 -- the design's own name: a state, not a fault
    """A job goes on beyond this call's deadline; the next call attaches to it by its job ID."""
