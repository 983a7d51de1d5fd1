"""What happens in registries: publish, sign, attest, verify, promote, rescan.

Each step is one call of crane or cosign, in a container of its own. A registry keeps a signature or an attestation as a
manifest that refers to the image's (a Sigstore bundle, OCI 1.1 referrers); where it does not list those itself, the
tools list them under the tag `sha256-…`. That list is written anew with each one, so they are made one after the
other.
"""
