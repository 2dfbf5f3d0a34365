"""Methods that need a tower of tokens and nothing else: written once, listed by every wing that has such a tower."""
