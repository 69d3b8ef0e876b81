"""The stages of the loop, one a module, and the protocol that each of them keeps to."""
