"""The texts of a pack's cells: as tokens, in their template, and as a frozen tower sees them."""
