"""Names of steps, as the Dagger CLI shows them around the calls of a run."""

import contextlib
from collections.abc import Iterator

from opentelemetry import trace
from opentelemetry.trace import StatusCode


@contextlib.contextmanager
def named(name: str) -> Iterator[None]:
    """Show under one name what the engine is asked for meanwhile; without a module nobody sees it."""
    tracer = trace.get_tracer("erlmcp")
    # The error is told once, by whoever handles it.
    with tracer.start_as_current_span(name, record_exception=False, set_status_on_exception=False) as span:
        try:
            yield
        except BaseException:
            span.set_status(StatusCode.ERROR)
            raise
