"""A release `muster demo` over TLS with one simulated node, and how its processes are measured."""
import http.client, json, os, pathlib, re, shutil, signal, ssl, subprocess, tempfile, time

ROOT = pathlib.Path(__file__).resolve().parent.parent
BINS = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "release"
WORK = pathlib.Path(os.environ["BENCH_WORK"])
MUSTER = str(BINS / "muster")


def run(*command, **more):
    done = subprocess.run(command, capture_output=True, text=True, **more)
    if done.returncode:
        raise SystemExit(f"{' '.join(command[:3])} …: {done.returncode}: {done.stderr}")
    return done.stdout


class World:
    """A demo, a signed-in user and a signed-in operator of it."""

    def __init__(self, nodes=1):
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="muster-bench-"))
        self.env = dict(os.environ, MUSTER_CONFIG_DIR=str(self.dir / "profile"), PATH=f"{BINS}:{os.environ['PATH']}")
        self.extra, self.allocations = [], set()
        began = time.monotonic()
        self.start(nodes)
        self.up_s = time.monotonic() - began

    def start(self, nodes=1):
        """Starts, or starts again on the same data."""
        ready = self.dir / "ready.json"
        ready.unlink(missing_ok=True)
        command = [MUSTER, "demo", "--tls", "--dir", str(self.dir / "demo"), "--nodes", str(nodes), "--ready-file", str(ready)]
        for door in ("console", "operator", "quic"):
            command += [f"--{door}", "127.0.0.1:0"]
        log = open(self.dir / "demo.log", "w")
        self.process = subprocess.Popen(command, stdout=log, stderr=log)
        began = time.monotonic()
        while not ready.exists():
            if self.process.poll() is not None or time.monotonic() - began > 120:
                raise SystemExit((self.dir / "demo.log").read_text())
            time.sleep(0.005)
        self.ready = json.loads(ready.read_text())
        self.pids = self.ready["pids"]
        for who, url, more in (("user", "console_url", []), ("operator", "operator_url", ["--operator"])):
            login = self.ready[who]
            self.muster("login", *more, "--url", self.ready[url], "--ca", self.ready["ca_file"], "--username",
                        login["username"], "--password-stdin", input=login["password"])

    def muster(self, *arguments, **more):
        return run(MUSTER, *arguments, env=self.env, **more)

    def door(self, who):
        """A kept connection to a door, and the headers of a signed-in request."""
        url = self.ready["console_url" if who == "user" else "operator_url"]
        context = ssl.create_default_context(cafile=self.ready["ca_file"])
        host, port = url.split("//")[1].split(":")
        more = [] if who == "user" else ["--operator"]
        bearer = self.muster("token", *more).strip()
        headers = {"Authorization": f"Bearer {bearer}", "Content-Type": "application/json"}
        return http.client.HTTPSConnection(host, int(port), context=context), headers

    def launch(self, sku="h100", *more):
        """Launches, waits until active; the allocation and the seconds it took."""
        began = time.monotonic()
        out = self.muster("launch", "--sku", sku, "--no-ssh", "--wait", "--json", *more)
        took = time.monotonic() - began
        allocation = re.search(r"al_[0-9a-z]{26}", out)[0]
        self.allocations.add(allocation)
        return allocation, took

    def node_without_gpus(self):
        """Enrols a further node by hand whose agent finds no driver; the pids of its two halves."""
        state = self.dir / "plain"
        state.mkdir()
        (state / "agent.toml").write_text('name = "plain"\n[gpu]\nnvml_library = "/nonexistent/libnvidia-ml.so.1"\n')
        token = json.loads(self.muster("tokens", "create", "--auto-approve", "--json"))["token"]
        agent = str(BINS / "muster-agent")
        run(agent, "enroll", "--coordinator", self.ready["quic_addr"], "--token", token, "--state-dir", str(state), "--wait")
        log = open(self.dir / "plain.log", "w")
        process = subprocess.Popen([agent, "run", "--state-dir", str(state)], stdout=log, stderr=log)
        self.extra.append(process)
        time.sleep(1)
        children = pathlib.Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        return [process.pid, *map(int, children)]

    def measured(self):
        """Coordinator, both halves of the demo's agents, and the first processes of their cells."""
        halves = [pid for agent in self.pids["agents"] for pid in (agent["pid"], agent["root_pid"]) if pid]
        return [self.pids["coordinator"], *halves, *self.cells()]

    def cells(self):
        """First processes of cells of this world."""
        found = []
        for entry in pathlib.Path("/proc").iterdir():
            try:
                words = (entry / "cmdline").read_bytes().split(b"\0") if entry.name.isdigit() else []
            except OSError:
                continue
            if words[1:2] == [b"cell"] and any(word.decode(errors="replace") in self.allocations for word in words):
                found.append(int(entry.name))
        return found

    def halt(self):
        """Stops what runs; the data stay."""
        for process in [*self.extra, self.process]:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
                process.wait(60)
        self.extra.clear()

    def stop(self):
        self.halt()
        shutil.rmtree(self.dir, ignore_errors=True)


def memory(pids):
    """(RSS, PSS) of processes together, in MiB."""
    rss = pss = 0
    for pid in pids:
        text = pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text()
        rss += int(re.search(r"^Rss:\s+(\d+)", text, re.M)[1])
        pss += int(re.search(r"^Pss:\s+(\d+)", text, re.M)[1])
    return rss / 1024, pss / 1024


def cpu_s(pids):
    """CPU time of processes together, in seconds, exact to the nanosecond where the kernel tells it."""
    total = 0
    for pid in pids:
        for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
            total += int((task / "schedstat").read_text().split()[0])
    return total / 1e9


def at_rest(groups, seconds):
    """CPU in percent of one core and memory of groups of processes, all in the same window."""
    before = {name: cpu_s(pids) for name, pids in groups.items()}
    time.sleep(seconds)
    rows = {}
    for name, pids in groups.items():
        rss, pss = memory(pids)
        cpu = 100 * (cpu_s(pids) - before[name]) / seconds
        rows[name] = {"cpu_percent": round(cpu, 2), "rss_mib": round(rss, 1), "pss_mib": round(pss, 1)}
    return rows
