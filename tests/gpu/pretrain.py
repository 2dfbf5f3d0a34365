"""Part 5: steps a second of `promptgrid pretrain`."""
