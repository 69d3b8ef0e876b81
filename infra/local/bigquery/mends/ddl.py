"""CREATE TABLE: partitions, clusters and options are the catalog's matter; DuckDB is not told of them."""

from __future__ import annotations

from sqlglot import exp

_OF_THE_CATALOG = (exp.PartitionedByProperty, exp.Cluster, exp.Property)


def mend(tree: exp.Expr) -> exp.Expr:
    """The statement without what only the catalog keeps."""
    properties = tree.args.get("properties")
    if (
        not isinstance(tree, exp.Create)
        or (tree.args.get("kind") or "").upper() not in ("TABLE", "VIEW")
        or properties is None
    ):
        return tree
    kept = [
        item
        for item in properties.expressions
        if not isinstance(item, _OF_THE_CATALOG) or isinstance(item, exp.TemporaryProperty)
    ]
    kept = [
        item
        for item in kept
        if type(item).__name__ not in ("ClusterProperty", "ClusteredByProperty", "PartitionByListProperty")
    ]
    tree.set("properties", exp.Properties(expressions=kept) if kept else None)
    return tree
