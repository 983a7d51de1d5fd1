"""Build, scan, document, sign and publish the image of an Erlang release, the same on a laptop and in any CI."""

from pipeline import sdk as sdk
from pipeline.main import Erlmcp as Erlmcp
