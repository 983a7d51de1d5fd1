"""Steps have names that the Dagger CLI shows: what it is told of them."""

from collections.abc import Iterator

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode
from test_errors import failed_pull

from pipeline.errors import BuildError, gathered, guard

pytestmark = pytest.mark.anyio


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> Iterator[InMemorySpanExporter]:
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(trace, "get_tracer", provider.get_tracer)
    yield exporter
    provider.shutdown()


async def test_each_step_is_around_what_it_asks_the_engine_for(told: InMemorySpanExporter) -> None:
    seen: list[str] = []

    async def asked() -> None:
        seen.append(trace.get_current_span().name)  # type: ignore[attr-defined] # of the SDK's span

    await gathered(guard(asked(), "compiling a"), guard(asked(), "compiling b"))
    assert seen == ["compiling a", "compiling b"]
    assert [(span.name, span.status.status_code) for span in told.get_finished_spans()] == [
        ("compiling a", StatusCode.UNSET),
        ("compiling b", StatusCode.UNSET),
    ]


async def test_a_step_that_fails_is_marked_and_its_error_is_told_by_the_caller_alone(
    told: InMemorySpanExporter,
) -> None:
    async def fails() -> None:
        raise failed_pull()

    with pytest.raises(BuildError, match="compiling a failed"):
        await guard(fails(), "compiling a")
    [span] = told.get_finished_spans()
    assert (span.name, span.status.status_code) == ("compiling a", StatusCode.ERROR)
    assert not span.status.description
    assert not span.events
