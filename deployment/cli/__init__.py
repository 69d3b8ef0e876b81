"""The command `bqloop`: what people and shell scripts use."""
