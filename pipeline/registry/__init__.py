"""Work with registries: publish, sign, attest, verify, promote, rescan.

Each step is one call of crane or cosign, in a container of its own. A registry stores a signature or an attestation as
a manifest that refers to that of the image (a Sigstore bundle, OCI 1.1 referrers). If the registry does not list
referrers itself, the tools list them under the tag `sha256-…` and rewrite that list with each new one, so they are
made one after the other.
"""
