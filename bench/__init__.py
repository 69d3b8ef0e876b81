"""Measurements that a reader can repeat: how good, how large, beside whom."""
