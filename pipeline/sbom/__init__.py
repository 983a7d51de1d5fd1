"""What is in the image: one set of components, written as SPDX and as CycloneDX.

Scanners, asked plainly, see little of the Erlang in an image and name some of it wrongly. Here the packages of the
operating system come from Syft, and all of the BEAM from the release itself and from `rebar.lock`
(`resources/inventory.escript`). The same image gives the same bytes.
"""
