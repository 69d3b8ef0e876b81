"""`python -m bench NAME [options]`: run one of the measurements; each prints a table."""

from __future__ import annotations

import importlib
import sys

PROGRAMS = {
    "quality": "F1 on public offers through the normal loop, on the standard splits and grouped by record",
    "scale": "raw deals to clusters on generated deals: time, memory, completeness and F1 by size",
    "blocking": "how much of the truth blocking finds on public offers, beside the nearest titles",
    "peers": "bqloop beside Splink on the same generated deals: time, memory, F1 (`make bench-peers` sets Splink up)",
    "gate": "how often the gate promotes an equal challenger, and a better one: a simulation",
    "gate_rows": "the gate's SQL over a million made-up predictions: seconds, rows and memory",
    "steady": "a burst of 2,000 messages, then 200 inferences a second over HTTP for a minute: lost, doubled, memory",
    "serve": "the service beside a bare app that asks the same endpoint: latency and requests a second",
    "bqml": "the local BigQuery ML beside XGBoost and NumPy called directly: training, prediction, memory",
}


def main() -> int:
    if len(sys.argv) < 2 or sys.argv[1] not in PROGRAMS:
        print("python -m bench NAME [options]; --help tells each one's options\n")
        for name, what in PROGRAMS.items():
            print(f"  {name:12s}{what}")
        return 0 if {"-h", "--help"} & set(sys.argv[1:]) else 2
    importlib.import_module(f"bench.{sys.argv[1]}").main(sys.argv[2:])
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
