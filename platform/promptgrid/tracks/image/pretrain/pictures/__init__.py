"""The pictures that training starts from: pinned sources, drawn at one size, with names and captions."""
