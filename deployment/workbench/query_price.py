"""What bytes cost in BigQuery on demand: one list price, said to be one."""

from __future__ import annotations

# List price of a TiB queried on demand in the US multi-region, in US dollars; as in infra/gcp/README.md.
DOLLARS_PER_TIB = 6.25


def price(bytes_billed: int) -> str:
    """The list price of bytes that a query processes.

    >>> price(10 * 2**20), price(2**40)
    ('0.0001 USD', '6.25 USD')
    """
    dollars = bytes_billed / 2**40 * DOLLARS_PER_TIB
    return f"{dollars:.2f} USD" if dollars >= 1 else f"{dollars:.4f} USD"
