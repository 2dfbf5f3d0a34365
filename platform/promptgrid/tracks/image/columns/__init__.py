"""What a batch of images can hold, one file a column.

A new need of methods is one more file here, or one in a package of your own under the entry point
``promptgrid.columns``: a :class:`promptgrid.contract.columns.ColumnSource`.
"""
