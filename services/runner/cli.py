"""The command `muniment`. Heavy imports wait for their command, so that `--help` answers at once."""

import json
import os
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated, NoReturn
from uuid import UUID

import typer

from infra.engines.errors import EngineError
from services.runner.errors import RunnerError

app = typer.Typer(
    name="muniment",
    help="Messaging that can prove what was said, who saw it, what was kept and what was destroyed.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
evidence_app = typer.Typer(no_args_is_help=True)
app.add_typer(evidence_app, name="evidence")
tenant_app = typer.Typer(help="Make and list tenants of a running deployment.", no_args_is_help=True)
app.add_typer(tenant_app, name="tenant")
audit_app = typer.Typer(help="Check the audit log of a running deployment.", no_args_is_help=True)
app.add_typer(audit_app, name="audit")
keys_app = typer.Typer(help="Look after the keys of a running deployment.", no_args_is_help=True)
app.add_typer(keys_app, name="keys")

index_app = typer.Typer(help="Look after the index of a running deployment.", no_args_is_help=True)
app.add_typer(index_app, name="index")

approval_app = typer.Typer(help="Decide on what needs four eyes.", no_args_is_help=True)
app.add_typer(approval_app, name="approval")
certificate_app = typer.Typer(help="Read certificates of disposition.", no_args_is_help=True)
app.add_typer(certificate_app, name="certificate")
matter_app = typer.Typer(help="Look into legal matters.", no_args_is_help=True)
app.add_typer(matter_app, name="matter")


def _default_data() -> Path:
    return Path.home() / ".local" / "share" / "muniment"


Data = Annotated[
    Path,
    typer.Option(
        "--data",
        help="The data folder.",
        default_factory=_default_data,
        show_default="~/.local/share/muniment",
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Write facts for a program on standard output.")]
Config = Annotated[
    Path | None, typer.Option("--config", help="The settings file; the environment overrides it.")
]


class SigningUse(StrEnum):
    """What a signing key of the platform is for."""

    CERTIFICATES = "certificates"
    CHECKPOINTS = "checkpoints"
    PRODUCTIONS = "productions"
    TOKENS = "tokens"


Tenant = Annotated[str, typer.Option("--tenant", help="The tenant's short name.")]
User = Annotated[str, typer.Option("--user", help="Who acts: a user name of the directory.")]
Password = Annotated[Path, typer.Option("--password-file", help="A file with that person's password.")]
Origin = Annotated[
    str | None, typer.Option("--origin", help="Where the platform is, if it does not run on --data.")
]
Ca = Annotated[Path | None, typer.Option("--ca", help="The certificates (PEM) that https is trusted by.")]
Matter = Annotated[UUID, typer.Argument(help="The matter's id.")]
Request = Annotated[UUID, typer.Argument(help="The request's id.")]
Digest = Annotated[str, typer.Option("--digest", help="The hash that you saw: what will be done.")]
Search = Annotated[
    str | None,
    typer.Option(
        "--search",
        metavar="ENGINE",
        help="tantivy, or opensearch=URL of a cluster of yours; without it, that of before.",
        show_default="tantivy",
    ),
]
SearchUser = Annotated[str, typer.Option("--search-user", metavar="NAME", help="Who we are at OpenSearch.")]
SearchPassword = Annotated[
    Path | None, typer.Option("--search-password-file", help="A file with that user's password.")
]
SearchCa = Annotated[
    Path | None, typer.Option("--search-ca", help="The certificates (PEM) that OpenSearch is trusted by.")
]
Out = Annotated[Path, typer.Option("--out", help="The file to write; it must not exist.")]


@app.command()
def up(  # noqa: PLR0913 - each is an option
    data: Data,
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="The port of the one origin, on 127.0.0.1; 0 takes any.")
    ] = 8080,
    gateways: Annotated[int, typer.Option(min=1, max=16, help="How many messaging gateways.")] = 2,
    search: Search = None,
    search_user: SearchUser = "",
    search_password: SearchPassword = None,
    search_ca: SearchCa = None,
    *,
    search_gone: Annotated[
        bool, typer.Option("--search-gone", help="The OpenSearch of before is no more, nor any word in it.")
    ] = False,
    demo: Annotated[bool, typer.Option("--demo", help="Make the demo tenant with its sign-ins.")] = False,
    tls: Annotated[bool, typer.Option("--tls", help="Serve https with certificates of its own.")] = False,
    as_json: AsJson = False,
) -> None:
    """Start the engines and all services, keep them running, stop them on Ctrl-C."""
    from services.runner.search import SearchWish
    from services.runner.up import Wish
    from services.runner.up import up as bring_up

    wanted = SearchWish(search, search_user, search_password, search_ca, search_gone)
    raise typer.Exit(bring_up(Wish(data.absolute(), port, gateways, tls, demo, as_json, wanted)))


@app.command()
def serve(
    name: Annotated[str, typer.Argument(help="audit, identity, keys, messaging or messaging-relay.")],
    config: Config = None,
    listen: Annotated[str | None, typer.Option(help="unix:/path or host:port.")] = None,
    gateway: Annotated[str | None, typer.Option(help="The name of this messaging gateway.")] = None,
    *,
    print_config: Annotated[bool, typer.Option("--print-config", help="Show the settings and end.")] = False,
) -> None:
    """Run one process of one service."""
    from libs.host.settings import print_settings
    from services.runner import serve as serving

    environ = {**os.environ, **serving.overrides_of(name, listen, gateway)}
    if print_config:
        service, settings = serving.settings_of(name, config, environ)
        print(print_settings(settings, service), end="")
        return
    raise typer.Exit(serving.serve(name, config, environ))


@app.command()
def migrate(
    data: Data,
    services: Annotated[
        list[str] | None, typer.Argument(help="Which services; by default all that are known.")
    ] = None,
    config: Annotated[
        Path | None,
        typer.Option("--config", help='Tables [SERVICE] with admin = "DSN", passwords = {role = "…"}.'),
    ] = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Bring databases to their newest revision: those of --config, or those that run on the data folder.

    `up` does it for its own at every start.
    """
    from services.runner.migrate import migrate_all, read_targets, running_targets

    targets = running_targets(data.absolute()) if config is None else read_targets(config)
    done = migrate_all(targets, services or list(targets))
    print(json.dumps(done) if as_json else "\n".join(f"{name} is at {head}" for name, head in done.items()))


@app.command()
def doctor(
    data: Data,
    port: Annotated[int, typer.Option(help="The port that `up` would take.")] = 8080,
    *,
    as_json: AsJson = False,
) -> None:
    """Say whether Muniment can run here, and whether what runs is well."""
    from services.runner.doctor import findings

    seen = []
    for finding in findings(data.absolute(), port):
        seen.append(finding)
        if not as_json:
            print(f"{'ok' if finding.ok else 'NO':<3} {finding.check:<22} {finding.detail}")
    if as_json:
        print(json.dumps([{"check": f.check, "ok": f.ok, "detail": f.detail} for f in seen]))
    raise typer.Exit(0 if all(finding.ok for finding in seen) else 1)


@app.command()
def demo(  # noqa: PLR0913, PLR0917 - each is an option
    data: Data,
    corpus: Annotated[
        Path | None, typer.Option(help="A corpus of messages; a small one is built in.")
    ] = None,
    limit: Annotated[
        int | None, typer.Option(min=1, help="At most so many messages live; the rest is imported.")
    ] = None,
    archive: Annotated[
        Path | None, typer.Option("--import", metavar="FILE", help="Import this corpus, and no rest.")
    ] = None,
    keep: Annotated[
        Path, typer.Option(metavar="FOLDER", help="Where production and certificates are kept.")
    ] = Path("demonstrations"),
    search: Search = None,
    search_user: SearchUser = "",
    search_password: SearchPassword = None,
    search_ca: SearchCa = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Say a corpus live; import, hold, dispose of, search and produce another; count, and check off line."""
    from services.runner.demo.command import Wanted, run_demo
    from services.runner.search import SearchWish

    wanted = Wanted(corpus, limit, archive, keep, SearchWish(search, search_user, search_password, search_ca))
    raise typer.Exit(run_demo(data.absolute(), wanted, as_json=as_json))


@app.command()
def bench(
    area: Annotated[
        str, typer.Argument(help="What to measure: messaging, audit, retention or ediscovery.")
    ] = "messaging",
    corpus: Annotated[
        Path | None,
        typer.Option(help="What retention and ediscovery are measured on; without it one is made."),
    ] = None,
    messages: Annotated[
        int | None, typer.Option(min=100, help="How many messages the corpus has that is made.")
    ] = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Measure; exit with 1 when a figure misses its goal."""
    from services.runner.bench.command import run_bench

    raise typer.Exit(run_bench(area, corpus, messages, as_json=as_json))


@app.command("import")
def import_(  # noqa: PLR0913, PLR0917 - each is an option
    corpus: Annotated[
        Path,
        typer.Argument(metavar="FILE", help="JSON lines, gzipped or not: date, time, channel, nick, text."),
    ],
    tenant: Tenant,
    user: User,
    password: Password,
    data: Data,
    reason: Annotated[str, typer.Option("--reason", help="Why: who approves it reads this.")] = "",
    people: Annotated[
        Path | None, typer.Option("--people", help="A JSON file of nick: user name, for those who are known.")
    ] = None,
    origin: Origin = None,
    ca: Ca = None,
    *,
    wait: Annotated[bool, typer.Option("--wait", help="Wait until somebody has decided.")] = False,
    check: Annotated[
        bool, typer.Option("--check", help="Show the digest that the file has, and ask for nothing.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Import correspondence once another person has approved it; run it again to go on where it stopped."""
    from services.runner.account import Account
    from services.runner.imports import Wish, check_corpus, import_corpus

    account = Account(tenant, user, password, data.absolute(), origin, ca)
    run = check_corpus if check else import_corpus
    run(account, Wish(corpus, reason or corpus.name, people, wait, as_json))


@approval_app.callback()
def approval(
    context: typer.Context,
    tenant: Tenant,
    user: User,
    password: Password,
    data: Data,
    origin: Origin = None,
    ca: Ca = None,
) -> None:
    """Decide on what needs four eyes."""
    from services.runner.account import Account

    context.obj = Account(tenant, user, password, data.absolute(), origin, ca)


@approval_app.command("list")
def approval_list(context: typer.Context, *, as_json: AsJson = False) -> None:
    """List the newest requests, with the hash of what each will do."""
    from services.runner.approvals import list_requests

    list_requests(context.obj, as_json=as_json)


@approval_app.command("approve")
def approval_approve(
    context: typer.Context, request: Request, digest: Digest, *, as_json: AsJson = False
) -> None:
    """Approve what somebody else asked for."""
    from services.runner.approvals import decide

    decide(context.obj, request, digest, approves=True, as_json=as_json)


@approval_app.command("refuse")
def approval_refuse(
    context: typer.Context, request: Request, digest: Digest, *, as_json: AsJson = False
) -> None:
    """Refuse what somebody else asked for."""
    from services.runner.approvals import decide

    decide(context.obj, request, digest, approves=False, as_json=as_json)


@certificate_app.callback()
def certificate(
    context: typer.Context,
    tenant: Tenant,
    user: User,
    password: Password,
    data: Data,
    origin: Origin = None,
    ca: Ca = None,
) -> None:
    """Read certificates of disposition."""
    from services.runner.account import Account

    context.obj = Account(tenant, user, password, data.absolute(), origin, ca)


@certificate_app.command("list")
def certificate_list(context: typer.Context, *, as_json: AsJson = False) -> None:
    """List what was certified, the newest first."""
    from services.runner.certificates import list_certificates

    list_certificates(context.obj, as_json=as_json)


@certificate_app.command("save")
def certificate_save(
    context: typer.Context,
    certificate: Annotated[UUID, typer.Argument(help="The certificate's id: that of its run.")],
    to: Annotated[Path, typer.Option("--to", help="The file to write; `muniment verify` checks it.")],
    *,
    as_json: AsJson = False,
) -> None:
    """Keep a certificate as one file, with the evidence that it is in the audit log."""
    from services.runner.certificates import save

    save(context.obj, certificate, to, as_json=as_json)


@matter_app.callback()
def matter(
    context: typer.Context,
    tenant: Tenant,
    user: User,
    password: Password,
    data: Data,
    origin: Origin = None,
    ca: Ca = None,
) -> None:
    """Look into legal matters."""
    from services.runner.account import Account

    context.obj = Account(tenant, user, password, data.absolute(), origin, ca)


@matter_app.command("list")
def matter_list(context: typer.Context, *, as_json: AsJson = False) -> None:
    """List your newest matters."""
    from services.runner.matters import list_matters

    list_matters(context.obj, as_json=as_json)


@matter_app.command("make")
def matter_make(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="What it is called.")],
    custodian: Annotated[list[UUID] | None, typer.Option(help="Whose correspondence; repeatable.")] = None,
    conversation: Annotated[list[UUID] | None, typer.Option(help="In which alone; repeatable.")] = None,
    since: Annotated[str | None, typer.Option(help="From this time on: 2026-01-31T00:00:00Z.")] = None,
    until: Annotated[str | None, typer.Option(help="Before this time.")] = None,
    *,
    everything: Annotated[bool, typer.Option("--everything", help="All correspondence there is.")] = False,
    as_json: AsJson = False,
) -> None:
    """Open a matter; its scope is never changed."""
    from services.runner.matters import Scope, make

    scope = Scope(tuple(custodian or ()), tuple(conversation or ()), everything, since, until)
    make(context.obj, name, scope, as_json=as_json)


@matter_app.command("add")
def matter_add(
    context: typer.Context,
    matter: Matter,
    principal: Annotated[UUID, typer.Argument(help="Who is to look into it.")],
    *,
    as_json: AsJson = False,
) -> None:
    """Let somebody look into a matter."""
    from services.runner.matters import add_member

    add_member(context.obj, matter, principal, as_json=as_json)


@matter_app.command("search")
def matter_search(
    context: typer.Context,
    matter: Matter,
    query: Annotated[str, typer.Argument(help="What to look for, in the language of the search.")],
    most: Annotated[int, typer.Option("--limit", min=1, max=10_000, help="Hits, at most.")] = 100,
    *,
    as_json: AsJson = False,
) -> None:
    """Search in a matter."""
    from services.runner.matters import search

    search(context.obj, matter, query, most, as_json=as_json)


@matter_app.command("produce")
def matter_produce(
    context: typer.Context,
    matter: Matter,
    form: Annotated[str, typer.Option("--format", help="jsonl, eml, eml-day or rsmf.")] = "rsmf",
    query: Annotated[str | None, typer.Option(help="What matches; without it, all of the scope.")] = None,
    bates: Annotated[str | None, typer.Option(metavar="PREFIX", help="Number the pages.")] = None,
    *,
    reason: Annotated[str, typer.Option(help="Why; who approves it reads this.")],
    as_json: AsJson = False,
) -> None:
    """Ask for a production, which another member has to approve."""
    from services.runner.productions import Asked, ask

    ask(context.obj, matter, Asked(form, query, bates, reason), as_json=as_json)


@matter_app.command("productions")
def matter_productions(context: typer.Context, matter: Matter, *, as_json: AsJson = False) -> None:
    """List the productions of a matter, the newest first."""
    from services.runner.productions import list_productions

    list_productions(context.obj, matter, as_json=as_json)


@matter_app.command("take")
def matter_take(
    context: typer.Context,
    matter: Matter,
    production: Annotated[UUID, typer.Argument(help="The production's id.")],
    *,
    to: Annotated[Path, typer.Option(metavar="FILE", help="Where it is kept; nothing is there yet.")],
    as_json: AsJson = False,
) -> None:
    """Take a production as one file."""
    from services.runner.productions import take

    take(context.obj, matter, production, to, as_json=as_json)


@app.command()
def verify(
    path: Annotated[
        Path,
        typer.Argument(
            help="A bundle, production, certificate or log, in a file or folder, or a folder of them."
        ),
    ],
    trust: Annotated[
        Path, typer.Option("--trust", help="trust.json: the keys that you trust, from wherever you trust.")
    ],
    *,
    as_json: AsJson = False,
) -> None:
    """Check evidence off line: needs no server, no database and no network."""
    from services.runner.verify import verify as check

    raise typer.Exit(check(path, trust, as_json=as_json))


@audit_app.command("verify")
def audit_verify(
    data: Data,
    tenants: Annotated[
        list[str] | None,
        typer.Option("--tenant", help="A tenant's short name or id; by default all logs there are."),
    ] = None,
    trust: Annotated[
        Path | None, typer.Option("--trust", help="trust.json; by default what the key service says.")
    ] = None,
    kept: Annotated[
        Path | None,
        typer.Option(
            "--kept", help="A checkpoint that you kept elsewhere, or a folder of an earlier --export."
        ),
    ] = None,
    export: Annotated[
        Path | None,
        typer.Option("--export", help="Copy the logs into this folder, for `muniment verify` off line."),
    ] = None,
    *,
    platform: Annotated[bool, typer.Option("--platform", help="The platform's own log.")] = False,
    as_json: AsJson = False,
) -> None:
    """Check every row of the logs against their signed trees, and name the first that is bad."""
    from services.runner.walk import Wish, verify_logs

    wish = Wish(tuple(tenants or ()), platform, trust, kept, export)
    raise typer.Exit(verify_logs(data.absolute(), wish, as_json=as_json))


@audit_app.command("reconcile")
def audit_reconcile(data: Data, *, as_json: AsJson = False) -> None:
    """Count every service's acts and their entries in the log: each act has one, and each entry its act."""
    from services.runner.audit import reconcile

    raise typer.Exit(reconcile(data.absolute(), as_json=as_json))


@evidence_app.callback()
def evidence(
    context: typer.Context,
    origin: Annotated[str, typer.Option(help="Where the platform is: https://muniment.example.")],
    token: Annotated[
        Path, typer.Option("--token-file", help="A file with the access token of who takes the evidence.")
    ],
    log_token: Annotated[
        Path | None,
        typer.Option("--log-token-file", help="The token of who may read the log, if that is another."),
    ] = None,
    trust: Annotated[
        Path | None, typer.Option(help="A trust.json from elsewhere; else the platform's own.")
    ] = None,
    ca: Annotated[Path | None, typer.Option(help="The certificates (PEM) that https is trusted by.")] = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Take evidence that holds without this platform."""
    from services.runner.evidence import Asking

    context.obj = Asking(origin, token, log_token, trust, ca, as_json)


@evidence_app.command("act")
def evidence_act(
    context: typer.Context,
    fact: Annotated[UUID, typer.Argument(help="The fact's id, as a search of the log names it.")],
    out: Out,
) -> None:
    """Take the evidence of one act."""
    from services.runner.evidence import take_act

    take_act(context.obj, fact, out)


@evidence_app.command("range")
def evidence_range(
    context: typer.Context,
    first: Annotated[int, typer.Argument(min=0, help="The index of the first entry.")],
    last: Annotated[int, typer.Argument(min=0, help="The index of the last entry.")],
    out: Out,
    *,
    details: Annotated[bool, typer.Option("--details", help="Show what the entries say.")] = False,
) -> None:
    """Take the evidence of entries of the log, none left out."""
    from services.runner.evidence import take_range

    take_range(context.obj, first, last, out, details=details)


@evidence_app.command("conversation")
def evidence_conversation(
    context: typer.Context,
    conversation: Annotated[UUID, typer.Argument(help="The conversation.")],
    first: Annotated[int, typer.Argument(min=1, help="The seq of the first entry.")],
    last: Annotated[int, typer.Argument(min=1, help="The seq of the last entry.")],
    out: Out,
) -> None:
    """Take the evidence of what was said in a conversation, none left out."""
    from services.runner.evidence import take_conversation

    take_conversation(context.obj, conversation, first, last, out)


@keys_app.command("rotate-signing")
def keys_rotate_signing(
    data: Data,
    use: Annotated[SigningUse, typer.Option("--use", help="What the key signs.")],
    *,
    as_json: AsJson = False,
) -> None:
    """Let another key sign from now on; what the old one signed stays valid."""
    from services.runner.keys import rotate_signing_key

    rotated = rotate_signing_key(data.absolute(), use.value)
    shown = f"Key {rotated['kid']} signs {use.value} from the next lease on, which is minutes away at most."
    print(json.dumps(rotated) if as_json else shown)


@index_app.command("rebuild")
def index_rebuild(
    data: Data,
    tenant: Annotated[str | None, typer.Argument(help="The tenant's short name.")] = None,
    *,
    everybody: Annotated[bool, typer.Option("--all", help="Every tenant's.")] = False,
    as_json: AsJson = False,
) -> None:
    """Make an index anew from the log, beside the old one, and wait until it has taken its place."""
    from services.runner.indexes import rebuild

    if everybody is (tenant is not None):
        raise RunnerError("Name one tenant, or say --all.")
    rebuilt = rebuild(data.absolute(), tenant, quiet=as_json)
    shown = "\n".join(f"{each['slug']:<24} {each['done']} entries" for each in rebuilt)
    print(json.dumps(rebuilt) if as_json else shown)


@index_app.command("progress")
def index_progress(
    data: Data,
    tenant: Annotated[str | None, typer.Argument(help="The tenant's short name; without it, all.")] = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Show how far the newest rebuild of each index is."""
    from services.runner.indexes import progress

    found = progress(data.absolute(), tenant)
    shown = "\n".join(
        f"{each['slug']:<24} {each['done']} of {each['entries']} entries"
        f"{', searched since ' + each['ended_at'] if each['ended_at'] else ''}"
        for each in found
    )
    print(json.dumps(found) if as_json else shown or "No index was made anew.")


@tenant_app.command("create")
def tenant_create(
    slug: Annotated[str, typer.Argument(help="Its short name in addresses and sign-ins.")],
    name: Annotated[str, typer.Argument(help="Its name for people.")],
    data: Data,
    *,
    local_sign_in: Annotated[bool, typer.Option(help="Let people sign in by password.")] = True,
    as_json: AsJson = False,
) -> None:
    """Make a tenant."""
    from services.runner.tenants import create_tenant

    made = create_tenant(data.absolute(), slug, name, local_sign_in=local_sign_in)
    print(json.dumps(made) if as_json else f"Made the tenant {slug} ({made['tenant']}).")


@tenant_app.command("list")
def tenant_list(data: Data, *, as_json: AsJson = False) -> None:
    """List the tenants."""
    from services.runner.tenants import list_tenants

    tenants = list_tenants(data.absolute())
    if as_json:
        print(json.dumps(tenants))
        return
    for tenant in tenants:
        print(f"{tenant['slug']:<24} {tenant['tenant']}  {tenant['name']}")


@tenant_app.command("scim-token")
def tenant_scim_token(
    slug: Annotated[str, typer.Argument(help="The tenant's short name.")],
    data: Data,
    label: Annotated[str, typer.Option(help="What the token is for.")] = "directory",
    *,
    as_json: AsJson = False,
) -> None:
    """Make a SCIM token for a tenant's directory; it is shown this once."""
    from services.runner.tenants import create_scim_token

    made = create_scim_token(data.absolute(), slug, label)
    shown = f"Address: {made['address']}\nToken:   {made['token']}\nExpires: {made['expires_at']}"
    print(json.dumps(made) if as_json else shown)


def main() -> NoReturn:
    """Run the command line: a refusal is one sentence on standard error and a non-zero exit."""
    from libs.host.settings import SettingsError

    try:
        app()
    except (RunnerError, EngineError, SettingsError, TimeoutError) as error:
        print(f"muniment: {' '.join(str(error).split())}", file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
    sys.exit(0)


if __name__ == "__main__":
    main()
