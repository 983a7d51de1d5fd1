"""What makes the SDK quicker: one converter for all queries, and one query for an id.

dagger-io 0.21.8 makes a converter (cattrs) for each step of each query; registering the module's types spent half of
its processor time there. And it asks for the id of an object each time that the object is passed to a call: 58 of the
155 queries for an image of erlmcp. This reaches into `dagger.client._core`, so dagger-io is pinned: look here when its
version moves, and drop this once the SDK keeps both.
"""

import collections
import typing
from typing import Any

import anyio
from dagger.client import _core

# It differs by the query only in what it makes of an object that comes back whole, and none does: lists have ids.
_CONVERTER = _core.make_converter(_core.Context())
_core.make_converter = lambda ctx: _CONVERTER  # noqa: ARG005 # its name is part of the signature

# Within a session the same calls have the same id, so it is asked for once. But a secret that is set takes the place of
# another one of that name.
_execute = _core.Context.execute


async def _asked_once(self: _core.Context, return_type: Any = None) -> Any:  # noqa: ANN401 # as the SDK has it
    fields = [field.name for field in self.selections]
    if fields[-1:] != ["id"] or "setSecret" in fields or typing.get_origin(return_type) is list:
        return await _execute(self, return_type)
    await self.resolve_ids()
    ids, asking = vars(self.conn.session).setdefault("known_ids", ({}, collections.defaultdict(anyio.Lock)))
    key = repr([(field.type_name, field.name, field.args, field.inline_type) for field in self.selections])
    async with asking[key]:
        if key not in ids:
            ids[key] = await _execute(self, return_type)
    return ids[key]


_core.Context.execute = _asked_once  # type: ignore[method-assign]
