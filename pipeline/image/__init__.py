"""The runtime image: building, exporting, measuring and starting it."""
