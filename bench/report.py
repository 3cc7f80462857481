"""Writes bench/RESULTS.md: goals, tables, and for a missed goal what is known of the reason. What stands below the
line BELOW is of other scripts, written by hand, and is kept."""
import datetime, os, platform
from world import ROOT

BELOW = "<!-- Below: figures of other scripts, kept when bench/run writes this file anew. -->"

# What was found by profiling, per goal; shown only where the goal is missed in this run.
ECHO = (
    "a key passes three processes and is sealed and opened twice each way. The profile is flat: half of the CPU time of "
    "coordinator and agent is the kernel's (send, wake, switch), the rest is spread over quinn, tokio and rustls without "
    "a function above 2 %. ssh through a jump host passes more processes and spends less in each.")
BULK = (
    "two cores carry `cat`, the cell, the agent, the coordinator and the client at once; the path's CPU seconds per 100 MB, "
    "below, are what bounds it. A local PTY has one process between `cat` and the client.")
WHY = {
    "echo at 2 ms pace / ssh through a jump host": ECHO,
    "echo at 2 ms pace / sshx": ECHO,
    "echo back to back / sshx": ECHO,
    "RSS of an agent without GPUs / node_exporter":
        "the agent is two processes of one program, and RSS counts the pages that they share twice; their PSS together "
        "is a third of node_exporter's.",
    "open to first output / sshx":
        "ours pays for TLS, a committed row of the session and the walls around the shell; sshx has none of them.",
    "`muster exec` / warm `ssh`":
        "a process, a TLS handshake, a committed row and a fork behind walls; ssh's master has the first three behind it.",
    "bulk / local PTY": BULK,
    "bulk / sshx": BULK,
    "echo beside a flood in a second terminal / alone":
        "the flood's five processes and the echo's share two cores, so most keys wait for a slice of time; see "
        "`bench/flood.py` below, where a local PTY stands beside.",
    "`muster-agent cell`, PSS in MiB": "more pages of it are its own than should be.",
}


def ratio(rows, key, other, ours="muster"):
    try:
        return rows[ours][key] / rows[other][key]
    except (KeyError, TypeError, ZeroDivisionError):
        return None


def goals(tables, results):
    """(name, goal in words, figure, whether it is met) of reference figures and of this run's peers."""
    echo, back, bulk = (tables.get(name, {}) for name in ("echo", "back", "bulk"))
    opened, idle, loaded = (tables.get(name, {}) for name in ("open", "idle", "loaded"))
    at = lambda name, key: results.get(name, {}).get(key)
    over = lambda a, b: a / b if a is not None and b else None
    agent, collectd = "agent without GPUs, both halves", "collectd, 10 plugins at 1 Hz"
    exporter = "prometheus-node-exporter, scraped at 1 Hz"
    most = [
        ("echo at 2 ms pace / ssh through a jump host", 1.1, ratio(echo, "median_us", "ssh-jump")),
        ("echo at 2 ms pace / sshx", 0.55, ratio(echo, "median_us", "sshx")),
        ("echo back to back / sshx", 0.5, ratio(back, "median_us", "sshx")),
        ("echo beside a flood in a second terminal / alone", 3, ratio(loaded, "median_us", "quiet", "flood")),
        ("open to first output / sshx", 1.0, ratio(opened, "open_to_first_output_ms_median", "sshx")),
        ("memory of an idle session / sshx", 0.3, ratio(idle, "pss_MB_per_session", "sshx")),
        ("CPU of an agent without GPUs / collectd", 1.0, over(at(agent, "cpu_percent"), at(collectd, "cpu_percent"))),
        ("CPU of an agent without GPUs / node_exporter", 0.5, over(at(agent, "cpu_percent"), at(exporter, "cpu_percent"))),
        ("RSS of an agent without GPUs / node_exporter", 0.75, over(at(agent, "rss_mib"), at(exporter, "rss_mib"))),
        ("`muster exec` / warm `ssh`", 0.5, ratio(results, "median_ms", "`ssh node true`, warm master", "`muster exec AL -- true`")),
        ("coordinator at rest, PSS in MiB", 35, at("coordinator, two idle nodes", "pss_mib")),
        ("coordinator at rest, CPU in %", 0.58, at("coordinator, two idle nodes", "cpu_percent")),
        ("coordinator, start to ready in s", 0.5, at("coordinator, start to ready", "median_s")),
        ("ready → prompt in a new allocation, in s", 3, at("ready → prompt in a new allocation", "s")),
        ("`muster-agent cell`, PSS in MiB", 2, at("`muster-agent cell`, no session", "pss_mib")),
    ]
    least = [
        ("bulk / local PTY", 0.9, ratio(bulk, "MBps", "pty")),
        ("bulk / sshx", 1.5, ratio(bulk, "MBps", "sshx")),
    ]
    rows = [(name, f"≤ {goal}", had, had is not None and had <= goal) for name, goal, had in most]
    return rows + [(name, f"≥ {goal}", had, had is not None and had >= goal) for name, goal, had in least]


def goal_table(tables, results):
    lines, notes = ["| what | goal | this run | |", "|---|---|---|---|"], {}
    for name, goal, had, met in goals(tables, results):
        verdict = "not had" if had is None else "met" if met else "**missed**"
        lines.append(f"| {name} | {goal} | {'' if had is None else f'{had:.2f}'} | {verdict} |")
        if verdict == "**missed**":
            notes.setdefault(WHY.get(name, "the reason is not known."), []).append(name)
    why = "\n".join(f"- **{'; '.join(names)}**: {reason}" for reason, names in notes.items())
    return "\n".join(lines) + "\n" + (f"\nMissed, and why:\n\n{why}\n" if notes else "")


def table(title, rows, columns):
    if not rows:
        return ""
    lines = [f"## {title}\n", "| target | " + " | ".join(label for label, _ in columns) + " |", "|---" * (len(columns) + 1) + "|"]
    for name, row in rows.items():
        first = columns[0][1]
        cells = [row["error"][:80] if key == first and "error" in row else str(row.get(key, "")) for _, key in columns]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n\n"


def write(tables, results, arguments):
    cpu = next((line.split(":", 1)[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")), "?")
    when = datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d %H:%M UTC")
    latency = [("median µs", "median_us"), ("p90", "p90_us"), ("p99", "p99_us"), ("n", "n")]
    text = f"""# Results

Machine: {os.cpu_count()} × {cpu}, {platform.system()} {platform.release()}. Made {when} by `bench/run.py {arguments}`.
Loopback only; release build; TLS on the door, mutual TLS on the link; everything of one table ran interleaved.
Ratios count: absolute figures move by a third from run to run on a shared machine. The goals are ratios to peers of
the same run, but for the coordinator at rest, whose peer (dstack) was measured once on such a machine.

## Goals

{goal_table(tables, results)}
"""
    text += table("Echo of a key, 2 ms pace", tables.get("echo"), latency)
    text += table("Echo of a key, back to back", tables.get("back"), latency)
    text += table("Echo of a key at 2 ms pace, alone and beside loads", tables.get("loaded"), [*latency, ("load, per block", "load")])
    text += table("Bulk: `cat` of 100 MB", tables.get("bulk"), [
        ("MB/s", "MBps"), ("spread", "spread"), ("path CPU s", "path_cpu_s"), ("bytes skipped", "bytes_skipped"), ("failed", "failed")])
    text += table("Open to first output", tables.get("open"), [("median ms", "open_to_first_output_ms_median"), ("p99", "p99"), ("n", "n")])
    text += table("Idle terminals (ours with the replay rings that the parts before left, at most 128 MiB a cell)", tables.get("idle"), [
        ("sessions", "sessions"), ("PSS MiB", "pss_MB"), ("PSS MiB a session", "pss_MB_per_session"), ("CPU %", "idle_cpu_pct")])
    if results:
        text += "## At rest, and single acts\n\n| what | figures |\n|---|---|\n"
        text += "".join(f"| {name} | {', '.join(f'{key} {value}' for key, value in row.items())} |\n" for name, row in results.items())
    results_file = ROOT / "bench/RESULTS.md"
    kept = results_file.read_text().partition(BELOW)[2] if results_file.exists() else ""
    results_file.write_text(f"{text}\n{BELOW}{kept or chr(10)}")
    print(text)
