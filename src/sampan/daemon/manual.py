"""`sampand --help`: from the same table as everything else about options."""

from sampan.daemon.options import OPTIONS, Kind, Verdict


def usage() -> str:
    """The whole text, as dockerd lays it out."""
    rows = [
        ("    --config-file string", "Daemon configuration file (default /etc/sampan/daemon.json)"),
        ("    --insecure-tcp", "Listen on TCP off loopback without client certificates"),
        ("    --validate", "Validate daemon configuration and exit"),
        ("-v, --version", "Print version information and quit"),
        ("-h, --help", "Print usage"),
    ]
    for option in OPTIONS:
        if option.flag_name and option.verdict is Verdict.HONOURED:
            short = f"-{option.short}, " if option.short else "    "
            kind = "" if option.kind is Kind.SWITCH else f" {option.kind}"
            rows.append((f"{short}--{option.flag_name}{kind}", option.note))
    rows.sort(key=lambda row: row[0].partition("--")[2])
    lines = [f"  {left:<42}{right}".rstrip() for left, right in rows]
    return "\n".join(["", "Usage:  sampand [OPTIONS]", "", "Run the Sampan engine.", "", "Options:", *lines])


def table() -> str:
    """The table of daemon.json's keys in `docs/daemon.md`; a test holds the two together."""
    rows = ["| key | flag | verdict | note |", "|---|---|---|---|"]
    for option in sorted(OPTIONS, key=lambda option: option.key):
        flag = f"`--{option.flag_name}`" if option.flag_name else ""
        if option.short:
            flag += f", `-{option.short}`"
        rows.append(f"| `{option.key}` | {flag} | {option.verdict} | {option.note} |")
    return "\n".join(rows)
