"""How the bundled data and towers were made: pinned sources, their pictures, the tasks cut from them, and the training."""
