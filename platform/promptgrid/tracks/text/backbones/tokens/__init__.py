"""From texts to rows of token ids: the tokenizers of all kinds of towers, their special tokens, cutting and padding."""
