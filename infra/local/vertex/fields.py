"""Reads request bodies: known fields only, in either spelling, the rest refused by name."""

import re
from collections.abc import Collection
from typing import Any

from infra.local.vertex.errors import invalid
from infra.local.vertex.listing import camel


def read_message(value: Any, where: str, *, accepted: Collection[str], ignored: Collection[str] = ()) -> dict[str, Any]:
    """A JSON object with its keys in camel case.

    `ignored` are output-only fields, which clients send back in a read-modify-write and Google drops.

    Raises:
        ApiError: not an object, or a field that is neither accepted nor ignored is set.
    """
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise invalid(f"{where} must be a JSON object.")
    message = {camel(key): item for key, item in value.items()}
    unsupported = sorted(key for key, item in message.items() if key not in accepted and key not in ignored and item)
    if unsupported:
        raise invalid(f"The local Vertex AI does not support {', '.join(f'{where}.{key}' for key in unsupported)}.")
    return {key: item for key, item in message.items() if key in accepted and item is not None}


def read_text(message: dict[str, Any], field: str, where: str, *, required: bool = False, limit: int = 0) -> str:
    """A string field of a message that `read_message` gave; "" when it is missing and not required."""
    value = message.get(field, "")
    if not isinstance(value, str):
        raise invalid(f"{where}.{field} must be a string.")
    if required and not value:
        raise invalid(f"{where}.{field} is required.")
    if limit and len(value) > limit:
        raise invalid(f"{where}.{field} is longer than {limit} characters.")
    return value


def read_labels(value: Any, where: str) -> dict[str, str]:
    """User labels: at most 64, keys and values at most 63 characters, lower-case letters, digits, `_` and `-`."""
    labels = value or {}
    if not isinstance(labels, dict):
        raise invalid(f"{where}.labels must be a map of strings.")
    if len(labels) > 64:
        raise invalid(f"{where}.labels has {len(labels)} entries; at most 64 are allowed.")
    for key, text in labels.items():
        if (
            not isinstance(text, str)
            or not _valid_label(key)
            or not key[0].isalpha()
            or (text and not _valid_label(text))
        ):
            raise invalid(
                f"{where}.labels[{key!r}] = {text!r} is invalid: keys and values have at most 63 characters, only "
                "lower-case letters, digits, underscores and dashes, and a key starts with a letter."
            )
    return dict(labels)


def read_mask(text: str, accepted: Collection[str], where: str) -> list[str]:
    """The fields of an update mask in camel case, each of which must be one that can be updated."""
    paths = [camel(path.strip()) for path in text.split(",") if path.strip()]
    if not paths:
        raise invalid("update_mask is required.")
    unsupported = [path for path in paths if path not in accepted]
    if unsupported:
        raise invalid(
            f"update_mask contains fields of {where} that cannot be updated: {', '.join(unsupported)}. "
            f"Can be updated: {', '.join(accepted)}."
        )
    return paths


def _valid_label(text: str) -> bool:
    return 0 < len(text) <= 63 and text == text.lower() and re.fullmatch(r"[\w-]+", text) is not None
