"""Weights of the first guess for services that are tested with frozen tables of their own."""

from __future__ import annotations

from pathlib import Path

import jinja2
import pyarrow as pa

import sql


def weights_of_the_first_guess() -> pa.Table:
    """`guess_weights` as a run would freeze it, every signal with the same weight."""
    macros = jinja2.Environment(loader=jinja2.FileSystemLoader(Path(sql.__file__).parent), autoescape=True)
    signals = macros.get_template("macros/guess.sql").module.signals  # type: ignore[attr-defined]  # set in the template
    return pa.table({"base": [0.1], **{signal: [0.05] for signal in signals}})
