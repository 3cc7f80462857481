"""Peers that are no terminals: telemetry agents at rest, and ssh over a warm master connection."""
import pathlib, subprocess, threading, time
import terminal
from world import WORK, run


class Telemetry:
    """node_exporter, scraped once a second, and collectd with ten plugins at 1 Hz."""

    def __enter__(self):
        quiet = dict(stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.exporter = subprocess.Popen(["prometheus-node-exporter", "--web.listen-address=127.0.0.1:7101"], **quiet)
        self.collectd = subprocess.Popen(["/usr/sbin/collectd", "-f", "-C", collectd_config()], **quiet)
        self.done = threading.Event()
        threading.Thread(target=self.scrape, daemon=True).start()
        return self

    def scrape(self):
        while not self.done.wait(1):
            subprocess.run(["curl", "-s", "-o", "/dev/null", "http://127.0.0.1:7101/metrics"], check=False)

    def groups(self):
        return {"prometheus-node-exporter, scraped at 1 Hz": [self.exporter.pid],
                "collectd, 10 plugins at 1 Hz": [self.collectd.pid]}

    def __exit__(self, *_):
        self.done.set()
        for process in (self.exporter, self.collectd):
            process.terminate()
            process.wait()


def collectd_config():
    base = WORK / "collectd"
    base.mkdir(exist_ok=True)
    plugins = "".join(f"LoadPlugin {name}\n" for name in "cpu memory load df disk interface processes uptime swap network".split())
    (base / "c.conf").write_text(f'Interval 1\nBaseDir "{base}"\nPIDFile "{base}/pid"\nPluginDir "/usr/lib/collectd"\n'
                                 f'TypesDB "/usr/share/collectd/types.db"\nHostname "n"\n{plugins}'
                                 '<Plugin network>\n Server "127.0.0.1" "7103"\n</Plugin>\n')
    return str(base / "c.conf")


class WarmSsh:
    """`ssh node true` over a master connection to an sshd of its own."""

    def __enter__(self):
        keys = pathlib.Path(terminal.sshkeys())
        config, control = keys / "sshd_7122.conf", keys / "mux"
        control.unlink(missing_ok=True)
        config.write_text(f"Port 7122\nListenAddress 127.0.0.1\nHostKey {keys}/host\nAuthorizedKeysFile {keys}/authorized_keys\n"
                          "UsePAM no\nStrictModes no\nPidFile none\nPermitRootLogin yes\n")
        self.daemon = subprocess.Popen(["/usr/sbin/sshd", "-D", "-f", str(config)], stderr=subprocess.DEVNULL)
        self.base = ["ssh", "-F", "none", "-i", str(keys / "id"), "-o", "StrictHostKeyChecking=no", "-o",
                     "UserKnownHostsFile=/dev/null", "-o", "LogLevel=ERROR", "-o", "BatchMode=yes", "-o",
                     f"ControlPath={control}", "-p", "7122", "musterbench@127.0.0.1"]
        terminal.wait_port(7122)
        self.master = None
        began = time.monotonic()
        while not control.exists():
            if self.master is None or self.master.poll() is not None:
                self.master = subprocess.Popen(["ssh", "-M", "-N", *self.base[1:]])
            if time.monotonic() - began > 20:
                raise SystemExit("no master connection of ssh")
            time.sleep(0.1)
        return self

    def true(self):
        run(*self.base, "true")

    def __exit__(self, *_):
        for process in (self.master, self.daemon):
            process.terminate()
            process.wait()
