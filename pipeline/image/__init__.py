"""The runtime image: made, exported, measured, started."""
