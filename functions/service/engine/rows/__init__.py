"""The same SQL over a few rows: Python's own loops, written from the tree.

A request that asks about one pair has tables of a handful of rows, on which NumPy spends its time on being called. What an
expression means is said for columns in the folder above; a test runs both on the same deals. What fails here (an overflow, a
division by zero) is run by columns, which say what it means.
"""
