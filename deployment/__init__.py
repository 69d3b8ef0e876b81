"""What leaves the warehouse: stages, gate, registry, endpoint, rollout; and the `bqloop` command."""
