"""Filters, orders and pages of the list methods: the part of Google's filter language that these resources document.

Whatever else a caller asks for is refused by name, as a filter that is silently ignored returns the wrong rows.
"""

import base64
import binascii
import json
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from infra.local.vertex.errors import invalid

Resource = dict[str, Any]
Predicate = Callable[[Resource], bool]

_VALUE = r'(?P<value>"[^"]*"|[^\s"=!<>()]+)'
_LABEL_KEY = r'(?P<key>"[^"]+"|[\w-]+)'
_LABEL_HAS = re.compile(rf"labels:{_LABEL_KEY}|labels\.(?P<key2>\"[^\"]+\"|[\w-]+):\*")
_LABEL_IS = re.compile(rf"labels\.{_LABEL_KEY}\s*=\s*{_VALUE}")
_FIELD_IS = re.compile(rf"(?P<field>\w+)\s*(?P<operator>!?=)\s*{_VALUE}")
_SPLIT_AND = re.compile(r"\s+AND\s+|\s+(?=labels[.:])")

_MAX_PAGE_SIZE = 1000
_DEFAULT_PAGE_SIZE = 100


def camel(name: str) -> str:
    """`display_name` as `displayName`; a name in camel case stays."""
    head, *tail = name.split("_")
    return head + "".join(part.capitalize() for part in tail)


def list_page(
    resources: Sequence[Resource],
    query: Mapping[str, str],
    *,
    id_field: str | None,
    filter_fields: Collection[str],
    order_fields: Collection[str],
) -> tuple[list[Resource], str]:
    """The page of `resources` that the query parameters ask for, and the next page's token ("" at the end).

    `id_field` is what filters call the last part of the resource's name ("model", "endpoint").
    """
    predicate = parse_filter(query.get("filter", ""), id_field=id_field, fields=filter_fields)
    found = _ordered(
        [resource for resource in resources if predicate(resource)], query.get("orderBy", ""), order_fields
    )
    start = _read_token(query.get("pageToken", ""), query)
    size = _page_size(query.get("pageSize", ""))
    page = [_masked(resource, query.get("readMask", "")) for resource in found[start : start + size]]
    return page, _token(start + size, query) if start + size < len(found) else ""


def parse_filter(text: str, *, id_field: str | None, fields: Collection[str]) -> Predicate:
    """A predicate for terms joined by AND: `display_name="x"`, `labels.key=value`, `labels.key:*`, `labels:key`."""
    terms = [_parse_term(term, id_field, fields) for term in _SPLIT_AND.split(text.strip()) if term]
    return lambda resource: all(term(resource) for term in terms)


def _parse_term(term: str, id_field: str | None, fields: Collection[str]) -> Predicate:
    if match := _LABEL_HAS.fullmatch(term):
        key = (match["key"] or match["key2"]).strip('"')
        return lambda resource: key in resource.get("labels", {})
    if match := _LABEL_IS.fullmatch(term):
        key, value = match["key"].strip('"'), match["value"].strip('"')
        return lambda resource: resource.get("labels", {}).get(key) == value
    match = _FIELD_IS.fullmatch(term)
    field = camel(match["field"]) if match else ""
    if match is None or (field != id_field and field not in fields):
        supported = ", ".join([*([id_field] if id_field else []), *fields, "labels.KEY"])
        raise invalid(
            f"Filter term not supported by the local Vertex AI: {term!r}. Supported: {supported}, joined by AND."
        )
    value, wanted = match["value"].strip('"'), match["operator"] == "="
    if field == id_field:
        return lambda resource: (resource["name"].rpartition("/")[2].partition("@")[0] == value) is wanted
    return lambda resource: (resource.get(field, "") == value) is wanted


def _ordered(resources: list[Resource], order_by: str, fields: Collection[str]) -> list[Resource]:
    for term in reversed([term.split() for term in order_by.split(",") if term.strip()]):
        field, direction = camel(term[0]), (term[1:] or ["asc"])[0].lower()
        if field not in fields or direction not in ("asc", "desc") or len(term) > 2:
            raise invalid(f"order_by term not supported: {' '.join(term)!r}. Supported: {', '.join(fields)}.")
        resources.sort(key=lambda resource, field=field: resource.get(field, ""), reverse=direction == "desc")  # type: ignore[misc]
    return resources


def _masked(resource: Resource, mask: str) -> Resource:
    """Keep the top-level fields of the mask; a path below one keeps the whole field."""
    kept = {camel(path.partition(".")[0]) for path in mask.split(",") if path}
    return {key: value for key, value in resource.items() if key in kept} if kept and "*" not in kept else resource


def _page_size(text: str) -> int:
    if not text or text == "0":
        return _DEFAULT_PAGE_SIZE
    if not text.isdigit():
        raise invalid(f"page_size must be a positive number, got {text}.")
    return min(int(text), _MAX_PAGE_SIZE)


def _token(start: int, query: Mapping[str, str]) -> str:
    return base64.urlsafe_b64encode(json.dumps([start, query.get("filter", "")]).encode()).decode()


def _read_token(token: str, query: Mapping[str, str]) -> int:
    if not token:
        return 0
    try:
        start, text = json.loads(base64.urlsafe_b64decode(token))
    except (binascii.Error, ValueError) as error:
        raise invalid("page_token is not one that this service gave.") from error
    if text != query.get("filter", ""):
        raise invalid("page_token belongs to another filter.")
    return int(start)
