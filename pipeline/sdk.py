"""What makes the SDK quicker: one converter for all queries.

dagger-io 0.21.8 makes a converter (cattrs) for each step of each query; registering the module's types spent half of
its processor time there. This reaches into `dagger.client._core`, so dagger-io is pinned: look here when its version
moves, and drop this once the SDK keeps its converter.
"""

from dagger.client import _core

# It differs by the query only in what it makes of an object that comes back whole, and none does: lists have ids.
_CONVERTER = _core.make_converter(_core.Context())
_core.make_converter = lambda ctx: _CONVERTER  # noqa: ARG005 # its name is part of the signature
