"""What the stage `monitor` found over time: `findings` reads it from the ledger, `page` draws it."""
