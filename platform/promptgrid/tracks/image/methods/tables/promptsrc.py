"""PromptSRC by dataset, at its 50 few-shot epochs (PromptSRC bb95c77)."""

EPOCHS = 50
"""At which these hold."""

AVERAGES = dict.fromkeys(("StanfordCars", "OxfordFlowers", "FGVCAircraft", "DTD", "EuroSAT"), (45.0, 5.0))
"""Mean and deviation of the average over epochs: late on these."""

AVERAGE = (30.0, 30.0)
"""Wide on the others."""
