"""The image wing: CLIP-like dual encoders on few-shot image classification."""
