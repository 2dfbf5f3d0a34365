"""Image towers without texts beside them, as backbones, and the ViTs of timm.

Not here: which names mean one (``tracks/image/backbones/vision_models.py``), and towers of dual encoders (``clip``).
"""
