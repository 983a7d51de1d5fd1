"""The stages before the image: dependencies, each application, the release.

Every stage depends only on the files that it needs, so the engine's cache answers for everything that did not change:
the dependencies see two generated files; an application sees its own sources, its siblings' headers and the
interfaces that it needs; the release sees compiled applications only.
"""
