"""Readers of graphs: bundled ones, published layouts, tables of your own, molecules."""
