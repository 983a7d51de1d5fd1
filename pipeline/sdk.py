"""The SDK makes a converter for each step of each query, which is the most of what a query costs: one does for all."""

from dagger.client import _core

# It differs by the query only in what it makes of an object that comes back whole, and none does: lists have ids.
_CONVERTER = _core.make_converter(_core.Context())
_core.make_converter = lambda ctx: _CONVERTER  # noqa: ARG005 # its name is part of the signature
