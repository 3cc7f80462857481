#!/usr/bin/env python3
"""Many simulated nodes (`muster-fleet`) against a demo's coordinator: what they cost it at rest and under churn, and
how they come back when all lose their link at once, when it is stopped and when it is killed.

  bench/fleet.py [--bins target/release] [--nodes 200 1000]
  bench/fleet.py --soak 60 --nodes 200    an hour of steady churn: memory of both sides, and what was logged
"""
import argparse, collections, json, os, pathlib, re, shutil, signal, subprocess, tempfile, time, urllib.request, uuid

ROOT = pathlib.Path(__file__).resolve().parent.parent


class Demo:
    """A demo on loopback without TLS at its doors; the link has it always."""

    def __init__(self, bins, nodes):
        self.bins, self.dir = pathlib.Path(bins).resolve(), pathlib.Path(tempfile.mkdtemp(prefix="muster-bench-fleet-"))
        ready = self.dir / "ready.json"
        command = [self.bins / "muster", "demo", "--dir", self.dir / "demo", "--nodes", str(nodes), "--ready-file", ready]
        for door in ("console", "operator", "quic"):
            command += [f"--{door}", "127.0.0.1:0"]
        log = open(self.dir / "demo.log", "w")
        self.process, began = subprocess.Popen(command, stdout=log, stderr=log), time.monotonic()
        while not ready.exists():
            if self.process.poll() is not None or time.monotonic() - began > 120:
                raise SystemExit((self.dir / "demo.log").read_text())
            time.sleep(0.02)
        self.ready = json.loads(ready.read_text())

    def coordinator(self):
        """Its pid, another one after each restart."""
        return json.loads((self.dir / "ready.json").read_text())["pids"]["coordinator"]

    def bearer(self, who):
        login = {"username": self.ready[who]["username"], "password": self.ready[who]["password"], "session": "bearer"}
        return post(self.url(who) + "/api/v1/auth/personal/login", login)["access_token"]

    def url(self, who):
        return self.ready["operator_url" if who == "operator" else "console_url"]

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(60)
        shutil.rmtree(self.dir, ignore_errors=True)


def cpu_s(pid):
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def rss_mib(pid):
    return int(re.search(r"^VmRSS:\s+(\d+)", pathlib.Path(f"/proc/{pid}/status").read_text(), re.M)[1]) / 1024


def post(url, body, token=None):
    headers = {"Content-Type": "application/json", "Idempotency-Key": str(uuid.uuid4())}
    if token:
        headers["Authorization"] = f"Bearer {token}"
    request = urllib.request.Request(url, json.dumps(body).encode(), headers, method="POST")
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.load(answer)


class Fleet:
    def __init__(self, demo, nodes, *more):
        wanted = {"max_uses": nodes, "auto_approve": True}
        token = post(demo.url("operator") + "/api/v1/admin/bootstrap-tokens", wanted, demo.bearer("operator"))["token"]
        command = [demo.bins / "muster-fleet", "--coordinator", demo.ready["quic_addr"], "--dir", demo.dir / "fleet",
            "--nodes", str(nodes), *more]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=dict(os.environ, MUSTER_TOKEN=token))

    def until(self, step):
        """The next line of this step; prints all that come on the way."""
        for line in self.process.stdout:
            print(line, end="", flush=True)
            said = json.loads(line)
            if said["step"] == step:
                return said["figures"]
        raise SystemExit("muster-fleet ended early")


def show(step, **figures):
    print(json.dumps(dict(step=step, figures=figures)), flush=True)


def cost(demo, seconds):
    pid = demo.coordinator()
    before = cpu_s(pid)
    time.sleep(seconds)
    show("coordinator", cpu_percent=round(100 * (cpu_s(pid) - before) / seconds, 1), rss_mib=round(rss_mib(pid), 1))


def logged(demo):
    """Lines of the coordinator's log above INFO, counted by their words."""
    counts = collections.Counter()
    for log in demo.dir.glob("demo/**/coordinator.log"):
        for line in log.read_text(errors="replace").splitlines():
            plain = re.sub(r"\x1b\[[0-9;]*m", "", line)
            level = re.search(r"\b(WARN|ERROR)\b(.*)", plain)
            if level:
                counts[level[1] + re.sub(r"[0-9a-z]*\d[0-9a-z.:]*", "#", level[2])[:160]] += 1
    return counts


def soak(bins, nodes, minutes):
    """Steady churn of one link a second; a line of figures every half minute."""
    demo = Demo(bins, 0)
    try:
        fleet = Fleet(demo, nodes, "--churn", "60", "--seconds", str(minutes * 60), "--every", "600")
        fleet.until("up")
        coordinator, figures, began = demo.coordinator(), [], time.monotonic()
        while fleet.process.poll() is None and time.monotonic() - began < minutes * 60:
            figures.append((rss_mib(coordinator), rss_mib(fleet.process.pid)))
            show("soak", minute=round((time.monotonic() - began) / 60, 1), coordinator_rss_mib=round(figures[-1][0], 1),
                fleet_rss_mib=round(figures[-1][1], 1), coordinator_cpu_s=round(cpu_s(coordinator), 1))
            time.sleep(30)
        fleet.until("end")
        show("logged", **logged(demo))
    finally:
        demo.stop()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--soak", type=int, metavar="MINUTES")
    parser.add_argument("--bins", default=ROOT / "target/release")
    parser.add_argument("--nodes", type=int, nargs="+", default=[200, 1000])
    args = parser.parse_args()
    if args.soak:
        return soak(args.bins, args.nodes[0], args.soak)
    for nodes in args.nodes:
        demo = Demo(args.bins, 0)
        try:
            fleet = Fleet(demo, nodes, "--churn", "60", "--storms", "3", "--seconds", "20", "--every", "30")
            for _ in range(3):
                fleet.until("storm")
            cost(demo, 15)
            fleet.until("end")
            fleet.process.wait()
            # The same nodes again, without churn.
            fleet = Fleet(demo, nodes, "--seconds", "600", "--every", "20")
            fleet.until("hold")
            for name, how in (("stopped", signal.SIGTERM), ("killed", signal.SIGKILL)):
                show(name, nodes=nodes)
                os.kill(demo.coordinator(), how)
                fleet.until("hold")
            cost(demo, 5)
            fleet.process.kill()
        finally:
            demo.stop()


if __name__ == "__main__":
    main()
