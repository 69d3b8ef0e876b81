"""Who is champion: a compare-and-set, which Vertex AI has not.

The champions of a model form a chain in BigQuery. A link says "version B instead of A", and its number is a job ID, which
can be used once in a project: of two that want to follow the same champion BigQuery takes one, and the other is told who.
The aliases in Vertex AI are moved after that, by the winner or, where that was killed, by whoever comes next.

Links up to the last one that the ledger has recorded were carried out; there Vertex AI's own word counts, so that an alias
which a person moves by hand is heeded. Those after it were decided, and Vertex AI may not have followed yet.
"""

from __future__ import annotations

from deployment.registry import Registry, evidence_no_longer_holds
from etl.ledger import Ledger, Succession


def succeed(
    registry: Registry, ledger: Ledger, model: str, version: str, *, expected: str | None, claimant: str
) -> int:
    """Make a version the champion, if the champion is still the expected one.

    The same call again, after the first or after a kill at any line of it, ends in the same state.

    Args:
        registry: Where the aliases are.
        ledger: Where the chain is.
        model: The model.
        version: ID of the version to promote.
        expected: ID of the champion that the evidence names, None where there was none.
        claimant: Who asks, such as the run: two calls that name the same are one.

    Returns:
        The number of the link, to be recorded.

    Raises:
        StateError: Another version is champion by now, so the evidence no longer holds.
        UnavailableError: BigQuery or Vertex AI cannot be reached; the same call goes on.
    """
    number = ledger.last_succession()
    there = registry.champion(model)
    champion = there.version_id if there is not None else None
    while True:
        link = None
        while (following := ledger.succession(number + 1)) is not None:
            link, number, champion = following, number + 1, following.version
        wanted = Succession(number + 1, version, expected, claimant)
        if link is not None and (link.version, link.instead_of, link.claimant) == (version, expected, claimant):
            break
        if champion not in {None, version, expected}:
            assert champion is not None, "None is one of those that may be followed"  # noqa: S101
            if link is not None:
                _follow(registry, ledger, model, link.version, number)
            raise evidence_no_longer_holds(model, version, expected=expected, champion=champion)
        ledger.claim_succession(wanted)  # whoever has it now, the next look at the chain tells
    _follow(registry, ledger, model, version, number)
    return number


def _follow(registry: Registry, ledger: Ledger, model: str, version: str, number: int) -> None:
    """Move the aliases to a link's version, and on where others were decided on meanwhile.

    A call that was slow must not put its alias over that of a later one.
    """
    while True:
        registry.put_champion(model, version)
        number += 1
        following = ledger.succession(number)
        if following is None:
            return
        version = following.version
