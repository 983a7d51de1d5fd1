"""Scan the image: run the scanners, join their findings, come to one verdict.

Each scanner reads the image once; Trivy and Grype also read the SBOM, since an image alone tells them little of the
BEAM, and `eef` holds it against what is published on Erlang. None gets a secret, and none reaches the network: what
they need of it is fetched before, in steps of its own.
"""
