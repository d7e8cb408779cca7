"""Productions: what an organisation hands over of its correspondence, so that a stranger can check it.

A production is a folder:

- `manifest.json`: what was asked, by which query and scope, what came of it in numbers, the hash of every
  segment below, and the place in the audit log that it is proved against; canonical JSON.
- `manifest.note`: the hash of the manifest, signed by a key of use `productions` (C2SP signed-note).
- `index/NNNNNN.jsonl`: segments; each names its files with size and SHA-256, and every entry of the
  conversations in scope: produced, excluded with its reason, or in error, with its proof.
- `data/…`: the files of a segment in the production's format; `errors/…`: what could not be produced.
- `map/NNNNNN.jsonl`: the conversations that the log committed to, which shows that none is left out.
"""
