"""The Merkle tree of RFC 9162 (and RFC 6962): roots, proofs, and the verifiers that check them.

A tree is over entries; everywhere below the entries' leaf hashes stand for them, 32 bytes each.
"""
