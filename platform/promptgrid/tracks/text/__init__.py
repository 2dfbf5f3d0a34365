"""The text wing: few-shot prompt learning and parameter-efficient tuning of language models."""
