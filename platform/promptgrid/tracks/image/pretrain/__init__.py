"""How the bundled data and towers were made: pinned sources, their pictures, the tasks, the training."""
