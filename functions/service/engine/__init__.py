"""The feature SQL without a database, which would plan longer than it computes: on NumPy's arrays, or in loops over few rows.

    strings     texts as whole numbers, shared by all columns
    columns     one column of values with its NULLs
    relations   tables of columns, and the rows that a FROM puts together
    grouping    rows of equal keys side by side
    texts       functions over text
    text_functions  which of them a node is
    numbers     functions over numbers, truth values and dates
    aggregates  SUM and its kin over groups
    windows     the same and ranks over partitions
    expressions the compiler of one expression
    selects     the compiler of one SELECT
    program     the templates of a version, compiled
    parsing     what both ways read from a SELECT alike
    rows        the same SQL as Python's loops, for a handful of rows

What is not known here is refused by name when the program is made, and `functions.service.feature_program` lets DuckDB do it.
"""
