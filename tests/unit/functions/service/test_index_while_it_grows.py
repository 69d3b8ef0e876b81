"""Deals that the index hears of again: whoever asks in that moment finds each of them, as it was or as it is."""

from __future__ import annotations

from typing import Any

import pytest

from functions.service import compact_index
from functions.service.compact_index import CompactIndex
from tests.unit.functions.service.small_service import KNOWN
from tests.unit.functions.service.test_other_version import program


def test_a_known_deal_is_found_while_its_newer_version_is_put_in(monkeypatch: pytest.MonkeyPatch) -> None:
    compiled = program(8).compiled
    assert compiled is not None
    index = CompactIndex.of(compiled, KNOWN)
    deal = dict(KNOWN[0])
    key = (deal["source"], deal["deal_id"])
    build, meanwhile = compact_index.build, []

    def asked_meanwhile(*args: Any, **kwargs: Any) -> Any:
        meanwhile.append(index.deals([key]).get(key))
        return build(*args, **kwargs)

    monkeypatch.setattr(compact_index, "build", asked_meanwhile)
    index.add([{**deal, "title": "another title"}])
    (before,) = meanwhile
    assert before is not None
    assert before["title"] == deal["title"]
    assert index.deals([key])[key]["title"] == "another title"
