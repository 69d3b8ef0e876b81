"""The one exception of the library, in the words of BigQuery's error body.

A caller that speaks BigQuery's protocol needs the machine-readable reason beside the text, so an error carries both:

    BqmlError (reason, message)

Reasons in use: ``invalidQuery`` (the statement cannot be carried out), ``invalid`` (an option or argument has a bad
value), ``notFound`` (a name that does not exist), ``resourcesExceeded`` (a documented limit), ``stopped`` (cancelled).
"""

from __future__ import annotations


class BqmlError(Exception):
    """A statement that BigQuery ML would refuse: what it names stands in ``message``, its class in ``reason``."""

    def __init__(self, message: str, *, reason: str = "invalidQuery") -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message
