"""Certificates of disposition: what was destroyed, by whose decision, and which stores confirmed it.

A certificate is a folder:

- `certificate.json`: the terms and the result that were approved, who asked and who approved, the counts,
  the confirmation of every store, and the hash of every segment; canonical JSON.
- `certificate.note`: the hash of `certificate.json`, signed by a key of use `certificates` (a C2SP note).
- `items/NNNNNN.jsonl`: segments: every destroyed item by its commitments, with the reason, in order.
- `log.json`: evidence of the act in the audit log that names this certificate by its hash.
"""
