"""Figures that papers on text methods report, as data: shown beside our results, never ranked with them."""
