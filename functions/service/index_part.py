"""A part of an index: what is written once, and since then only learns that some of its deals have come again."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from functions.service.engine.columns import Array
from functions.service.engine.strings import Codes
from functions.service.known_segment import Around, AskedKeys, Segment


@dataclass(frozen=True)
class IndexPart:
    """A segment, and which of its deals there is a newer version of.

    Attributes:
        segment: The segment.
        gone: By place whether there is a newer version.
        gone_codes: The codes of the keys of those, once for each of them, ascending.
    """

    segment: Segment
    gone: Array
    gone_codes: Codes

    @staticmethod
    def of(segment: Segment) -> IndexPart:
        """A segment all of whose deals are current."""
        return IndexPart(segment, np.zeros(len(segment), np.bool_), np.zeros(0, np.int64))

    def without(self, places: Codes | None, keys: str, key: str) -> IndexPart:
        """The same segment, in which these deals are gone, too; their keys are in column `key` of table `keys`."""
        if places is None or not len(places):
            return self
        gone = self.gone.copy()
        gone[places] = True
        rows, _ = self.segment.tables[keys].rows_of(places)
        codes = self.segment.tables[keys].raw(key, rows).astype(np.int64)
        return IndexPart(self.segment, gone, np.sort(np.concatenate([self.gone_codes, codes])))

    def beyond_gone(self, asked: AskedKeys) -> AskedKeys:
        """The same, looked for as much farther as there are deals that are gone in the blocks."""
        around = asked.around
        if around is None or not len(self.gone_codes):
            return asked
        first, last = (np.searchsorted(self.gone_codes, asked.codes, side) for side in ("left", "right"))
        return AskedKeys(asked.codes, Around(around.values, around.owners, around.beyond + (last - first)))
