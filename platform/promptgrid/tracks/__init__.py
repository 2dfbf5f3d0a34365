"""One wing per modality; no wing imports another."""
