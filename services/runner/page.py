"""The page `/`: what runs here, with links to each service's documentation, OpenAPI and health."""

from html import escape

from infra.engines.folders import write_private
from services.runner.deployment import Layout

SHOWN = (
    ("Messaging", "/messaging/v1", "Conversations, the log, sockets, receipts and sync."),
    ("Identity", "/identity/v1", "Tenants, people, sessions, devices and roles; SCIM under /scim/v2."),
    ("Keys", "/keys/v1", "Envelope encryption: who may unwrap what, and the public keys."),
    ("eDiscovery", "/ediscovery/v1", "What was said, found again by those who have to look."),
    ("Holds", "/holds/v1", "What must be preserved: placed, confirmed by who destroys, in force, released."),
    ("Retention", "/retention/v1", "Rules, locks and erasures, and what is due by them: tried out first."),
    ("Audit", "/audit/v1", "The log of every act: tiles, checkpoints, proofs, search and evidence."),
)

_STYLE = """\
:root {
  color-scheme: light dark;
  --ink: #1b1f27; --paper: #f6f7f9; --card: #fff; --line: #d9dde4; --link: #1d4ed8
}
@media (prefers-color-scheme: dark) {
  :root { --ink: #e7eaf0; --paper: #12151b; --card: #1b2029; --line: #333b48; --link: #93b4ff }
}
* { box-sizing: border-box }
body { margin: 0; background: var(--paper); color: var(--ink); font: 1rem/1.55 system-ui, sans-serif }
main { max-width: 60rem; margin: 0 auto; padding: 2.5rem 1.25rem }
h1 { margin: 0; font-size: 2rem; letter-spacing: -0.02em }
h2 { margin: 0 0 .25rem; font-size: 1.15rem }
p { margin: .25rem 0 1rem; max-width: 42rem }
ul {
  display: grid; grid-template-columns: repeat(auto-fit, minmax(min(17rem, 100%), 1fr)); gap: 1rem;
  margin: 1.5rem 0; padding: 0; list-style: none
}
li { padding: 1.1rem 1.25rem; background: var(--card); border: 1px solid var(--line); border-radius: .6rem }
nav { display: flex; flex-wrap: wrap; gap: .25rem 1.1rem }
a { display: inline-block; padding: .35rem 0; color: var(--link) }
footer { margin-top: 2rem; font-size: .9rem; opacity: .8 }
"""


def write_page(layout: Layout) -> None:
    """Write the page and its style sheet where Caddy serves them."""
    write_private(layout.pages / "index.html", page().encode())
    write_private(layout.pages / "start.css", _STYLE.encode())


def page() -> str:
    """Return the page, without a script and without a style of its own."""
    cards = "\n".join(_card(*shown) for shown in SHOWN)
    return f"""\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Muniment</title>
<link rel="stylesheet" href="/start.css">
</head>
<body>
<main>
<h1>Muniment</h1>
<p>Every message delivered, every access accounted for, every deletion provable. This installation runs:</p>
<ul>
{cards}
</ul>
<footer>The sign-ins stand in the terminal in which it was started.</footer>
</main>
</body>
</html>
"""


def _card(title: str, prefix: str, what: str) -> str:
    return f"""\
<li>
<h2>{escape(title)}</h2>
<p>{escape(what)}</p>
<nav aria-label="{escape(title)}">
<a href="{prefix}/docs">Documentation</a>
<a href="{prefix}/openapi.json">OpenAPI</a>
<a href="{prefix}/healthz">Health</a>
<a href="{prefix}/readyz">Ready</a>
</nav>
</li>"""
