"""The stages before the image: dependencies, each application, the release.

Every stage is a function of what it needs alone, so that the engine's cache answers for what did not change:
the dependencies see two generated files, an application sees its own sources, its siblings' headers and what it
needs of them, the release sees compiled applications only.
"""
