"""The one error of the local Pub/Sub: a gRPC status and a message, raised anywhere, answered at the gRPC edge."""

import grpc


class PubSubError(Exception):
    """A request that cannot be carried out. `code` is what the client raises as a `google.api_core` exception."""

    def __init__(self, code: grpc.StatusCode, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


def invalid(message: str) -> PubSubError:
    """The request breaks a rule of Pub/Sub's own."""
    return PubSubError(grpc.StatusCode.INVALID_ARGUMENT, message)


def not_found(name: str) -> PubSubError:
    """No topic or subscription of that name."""
    return PubSubError(grpc.StatusCode.NOT_FOUND, f"Resource not found (resource={name.rsplit('/', 1)[-1]}).")


def already_exists(name: str) -> PubSubError:
    """The name is taken."""
    return PubSubError(
        grpc.StatusCode.ALREADY_EXISTS, f"Resource already exists in the project (resource={name.rsplit('/', 1)[-1]})."
    )


def unsupported(what: str) -> PubSubError:
    """Google's Pub/Sub knows this, the local one does not and will not pretend to."""
    return PubSubError(grpc.StatusCode.UNIMPLEMENTED, f"The local Pub/Sub does not support {what}.")
