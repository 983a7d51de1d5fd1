"""Build, scan, document, sign and publish the image of an Erlang release, the same on a laptop and in any CI."""
