//! A whole Muster: one `muster demo` in its own folder, stopped and removed with the value.

use crate::{Api, Database, wait::eventually_within};
use serde::Deserialize;
use serde_json::Value;
use std::{
    fs,
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

/// How long a world may take to come up when two cores are busy with others.
const READY_WITHIN: Duration = Duration::from_secs(120);
const STOP_WITHIN: Duration = Duration::from_secs(30);
const LOG_TAIL_LINES: usize = 60;

/// How a world shall be.
#[derive(Debug, Clone)]
pub struct WorldOptions {
    /// Simulated nodes: the demo's own list, from the front.
    pub nodes: u32,
    /// `--isolation`; the demo's own choice if none.
    pub isolation: Option<&'static str>,
    /// Whether what dies is started again.
    pub supervise: bool,
    /// HTTPS doors.
    pub tls: bool,
    /// Runs as this user instead of the caller.
    pub user: Option<&'static str>,
    /// Further environment of all processes.
    pub env: Vec<(String, String)>,
    /// Where its folder is made; the usual place if none.
    pub under: Option<PathBuf>,
    /// This machine as a further node, with whatever GPUs it has.
    pub own_gpus: bool,
}

impl Default for WorldOptions {
    fn default() -> Self {
        Self {
            nodes: 1,
            isolation: None,
            supervise: true,
            tls: false,
            user: None,
            env: Vec::new(),
            under: None,
            own_gpus: false,
        }
    }
}

/// A running world.
#[derive(Debug)]
pub struct World {
    demo: Child,
    dir: tempfile::TempDir,
    user: Option<&'static str>,
    database: Option<Database>,
}

/// What the ready file says.
#[derive(Debug, Clone, Deserialize)]
pub struct Ready {
    /// Address of the console door.
    pub console_url: String,
    /// Address of the operator door.
    pub operator_url: String,
    /// Where agents connect to.
    pub quic_addr: String,
    /// Data of the coordinator.
    pub data_dir: PathBuf,
    /// Its CA, PEM.
    pub ca_file: PathBuf,
    /// Level of isolation of all cells.
    pub isolation: String,
    /// Who may do all.
    pub operator: Login,
    /// Who may launch.
    pub user: Login,
    /// Process ids.
    pub pids: Pids,
    /// Names of the SKUs on sale.
    pub skus: Vec<Value>,
}

/// A name and its password.
#[derive(Debug, Clone, Deserialize)]
pub struct Login {
    /// Name.
    pub username: String,
    /// Password.
    pub password: String,
}

/// Process ids, new after every restart.
#[derive(Debug, Clone, Deserialize)]
pub struct Pids {
    /// Of the coordinator.
    pub coordinator: i32,
    /// Of the agents.
    pub agents: Vec<Agent>,
}

/// One node of a world.
#[derive(Debug, Clone, Deserialize)]
pub struct Agent {
    /// Its id.
    pub node_id: String,
    /// Its name.
    pub name: String,
    /// The half with the network.
    pub pid: i32,
    /// The half with the rights.
    pub root_pid: Option<i32>,
    /// Its state.
    pub state_dir: PathBuf,
}

/// A binary of this build.
///
/// # Panics
/// If the test binary does not stand in a target folder.
#[must_use]
pub fn binary(name: &str) -> PathBuf {
    let own = std::env::current_exe().expect("a test binary");
    let dir =
        own.ancestors().find(|dir| dir.join("muster").is_file()).expect("muster is built: cargo build --workspace");
    dir.join(name)
}

/// Whether tests run as root: what only root can prove is skipped aloud elsewhere.
#[must_use]
pub fn is_root() -> bool {
    nix::unistd::geteuid().is_root()
}

impl World {
    /// A world with one node of eight simulated GPUs.
    pub async fn start() -> Self {
        Self::with(WorldOptions::default()).await
    }

    /// A world with so many nodes.
    pub async fn with_nodes(nodes: u32) -> Self {
        Self::with(WorldOptions { nodes, ..WorldOptions::default() }).await
    }

    /// Any world.
    ///
    /// # Panics
    /// If it does not come up.
    pub async fn with(options: WorldOptions) -> Self {
        let under = options.under.clone().unwrap_or_else(std::env::temp_dir);
        let dir = tempfile::Builder::new().prefix("muster-world-").tempdir_in(under).expect("a folder");
        if let Some(user) = options.user {
            let user = nix::unistd::User::from_name(user).expect("passwd").expect("the user exists");
            nix::unistd::chown(dir.path(), Some(user.uid), Some(user.gid)).expect("root may");
        }
        let database = Database::fresh();
        let demo = spawn(dir.path(), database.as_ref(), &options);
        let mut world = Self { demo, dir, user: options.user, database };
        world.wait_ready().await;
        world
    }

    async fn wait_ready(&mut self) {
        let path = self.ready_path();
        eventually_within(READY_WITHIN, "the demo is ready", async || {
            if let Some(status) = self.demo.try_wait().expect("a child") {
                self.print_logs();
                panic!("the demo ended: {status}");
            }
            path.exists().then_some(())
        })
        .await;
    }

    fn ready_path(&self) -> PathBuf {
        self.dir.path().join("ready.json")
    }

    /// The folder of everything.
    #[must_use]
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// Its database, where that is in PostgreSQL.
    #[must_use]
    pub fn database(&self) -> Option<&Database> {
        self.database.as_ref()
    }

    /// What the demo has said so far.
    #[must_use]
    pub fn said(&self) -> String {
        fs::read_to_string(self.dir.path().join("demo.log")).unwrap_or_default()
    }

    /// The ready file as it is now.
    ///
    /// # Panics
    /// If it is none.
    #[must_use]
    pub fn ready(&self) -> Ready {
        let text = fs::read_to_string(self.ready_path()).expect("a ready file");
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
    }

    /// The demo's user at the console door.
    pub async fn user(&self) -> Api {
        let ready = self.ready();
        Api::login(&ready.console_url, &ready.user.username, &ready.user.password).await
    }

    /// The demo's operator at the operator door.
    pub async fn operator(&self) -> Api {
        let ready = self.ready();
        Api::login(&ready.operator_url, &ready.operator.username, &ready.operator.password).await
    }

    /// Somebody who has nothing to do with the demo's user.
    pub async fn stranger(&self) -> Api {
        Api::sign_up(&self.ready().console_url, "stranger").await
    }

    /// `kill -9` of the coordinator, without waiting for anything: call it the moment an answer is read, and the
    /// change is committed while its effect is still to come.
    ///
    /// The pid tells [`World::coordinator_is_back`] whom not to wait for.
    pub fn kill_coordinator(&self) -> i32 {
        let pid = self.ready().pids.coordinator;
        signal(pid, nix::sys::signal::Signal::SIGKILL);
        pid
    }

    /// Waits until another coordinator than `killed` answers.
    pub async fn coordinator_is_back(&self, killed: i32) {
        eventually_within(STOP_WITHIN, "another coordinator answers", async || {
            let ready = self.ready();
            let door = Api::anonymous(&ready.console_url);
            let answer = door.try_send(reqwest::Method::GET, "/readyz", &[], None).await.ok()?;
            (ready.pids.coordinator != killed && answer.status == 200).then_some(())
        })
        .await;
    }

    /// `kill -9` of the coordinator, until the next one answers.
    pub async fn crash(&self) {
        let killed = self.kill_coordinator();
        self.coordinator_is_back(killed).await;
    }

    /// The process of the demo itself.
    #[must_use]
    pub fn pid(&self) -> i32 {
        i32::try_from(self.demo.id()).expect("a pid")
    }

    /// Asks the demo to stop and waits until it has.
    ///
    /// # Panics
    /// If it does not.
    pub async fn stop(&mut self) -> std::process::ExitStatus {
        signal(self.pid(), nix::sys::signal::Signal::SIGTERM);
        eventually_within(STOP_WITHIN, "the demo stops", async || self.demo.try_wait().expect("a child")).await
    }

    /// `kill -9` of the demo itself, until its coordinator and agents have ended as well; cells live on.
    pub async fn kill_demo(&mut self) {
        let pids = self.ready().pids;
        signal(self.pid(), nix::sys::signal::Signal::SIGKILL);
        eventually_within(STOP_WITHIN, "the demo has ended", async || self.demo.try_wait().expect("a child")).await;
        let all: Vec<i32> = pids.agents.iter().map(|agent| agent.pid).chain([pids.coordinator]).collect();
        eventually_within(STOP_WITHIN, "its children have ended", async || {
            let gone = |pid: &i32| !Path::new(&format!("/proc/{pid}")).exists();
            all.iter().all(gone).then_some(())
        })
        .await;
    }

    /// Starts the demo again on the same data.
    pub async fn start_again(&mut self, options: &WorldOptions) {
        let _ = fs::remove_file(self.ready_path());
        self.demo = spawn(self.dir.path(), self.database.as_ref(), options);
        self.wait_ready().await;
    }

    /// Ends the cells of all nodes, which a demo that was killed leaves behind on purpose.
    fn end_cells(&self) {
        for node in fs::read_dir(self.dir.path().join("demo/nodes")).into_iter().flatten().flatten() {
            let mut end = program("muster-agent", self.dir.path(), self.user);
            end.args(["root", "--end-cells", "--state-dir"]).arg(node.path()).stdin(Stdio::null());
            match end.output() {
                Ok(output) if output.status.success() => {}
                Ok(output) => eprintln!("cells are left: {}", String::from_utf8_lossy(&output.stderr)),
                Err(error) => eprintln!("cells are left: {error}"),
            }
        }
    }

    fn print_logs(&self) {
        let logs = self.dir.path().join("demo/logs");
        let mut files: Vec<_> = fs::read_dir(logs).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
        files.push(self.dir.path().join("demo.log"));
        files.sort();
        for file in files {
            let text = fs::read_to_string(&file).unwrap_or_default();
            let lines: Vec<_> = text.lines().collect();
            eprintln!("--- {}", file.display());
            lines.iter().skip(lines.len().saturating_sub(LOG_TAIL_LINES)).for_each(|line| eprintln!("{line}"));
        }
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.print_logs();
        }
        signal(self.pid(), nix::sys::signal::Signal::SIGTERM);
        let began = std::time::Instant::now();
        let ended = loop {
            match self.demo.try_wait() {
                Ok(None) if began.elapsed() > STOP_WITHIN => drop(self.demo.kill()),
                Ok(None) => {}
                ended => break ended.ok().flatten(),
            }
            std::thread::sleep(Duration::from_millis(20));
        };
        if !ended.is_some_and(|status| status.success()) {
            self.end_cells();
        }
    }
}

/// One of this build's programs as another user, who is lent the build in that folder.
///
/// # Panics
/// If there is no such user.
#[must_use]
pub fn program(name: &str, dir: &Path, user: Option<&str>) -> Command {
    let Some(user) = user else { return Command::new(binary(name)) };
    let mut command = Command::new("setpriv");
    command.args(["--reuid", user, "--regid", &gid_of(user), "--clear-groups", "--"]);
    command.arg(lend_binaries(&dir.join("bin")).join(name)).env("HOME", dir);
    command.current_dir(dir).env_remove("XDG_RUNTIME_DIR").env_remove("XDG_STATE_HOME");
    command
}

/// Sends a signal to a process that may be gone.
pub fn signal(pid: i32, signal: nix::sys::signal::Signal) {
    let _ = nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), signal);
}

fn spawn(dir: &Path, database: Option<&Database>, options: &WorldOptions) -> Child {
    let log = fs::File::create(dir.join("demo.log")).expect("a log");
    let mut command = program("muster", dir, options.user);
    command.arg("demo").arg("--dir").arg(dir.join("demo")).arg("--ready-file").arg(dir.join("ready.json"));
    command.args(["--nodes", &options.nodes.to_string()]);
    command.args(["--console", "127.0.0.1:0", "--operator", "127.0.0.1:0", "--quic", "127.0.0.1:0"]);
    command.args(["--supervise", if options.supervise { "on" } else { "off" }]);
    if options.tls {
        command.arg("--tls");
    }
    if options.own_gpus {
        command.args(["--gpu", "real"]);
    }
    if let Some(isolation) = options.isolation {
        command.args(["--isolation", isolation]);
    }
    command.envs(database.map(|database| ("MUSTER_DATABASE", database.url())));
    command.envs(options.env.iter().cloned()).env("NO_COLOR", "1");
    let out = log.try_clone().expect("a log");
    // A test that is killed takes its world along.
    // SAFETY: prctl is async-signal-safe and touches no memory of ours.
    unsafe {
        command.pre_exec(|| Ok(nix::sys::prctl::set_pdeathsig(nix::sys::signal::Signal::SIGTERM)?));
    }
    command.stdin(Stdio::null()).stdout(out).stderr(log).spawn().expect("muster demo starts")
}

fn gid_of(user: &str) -> String {
    nix::unistd::User::from_name(user).expect("passwd").expect("the user exists").gid.to_string()
}

/// The build where another user can run it, wherever the source tree stands; gives the folder.
fn lend_binaries(to: &Path) -> PathBuf {
    let from = binary("muster").parent().expect("a folder").to_path_buf();
    let _ = fs::create_dir(to);
    let mine = |name: &str| {
        (name.starts_with("muster") || name.starts_with("simgpu") || name.ends_with(".so")) && !name.ends_with(".d")
    };
    for entry in fs::read_dir(from).expect("the build").flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let target = to.join(&name);
        if mine(&name) && entry.path().is_file() && !target.exists() && fs::hard_link(entry.path(), &target).is_err() {
            let _ = fs::copy(entry.path(), &target).expect("a copy of a binary");
        }
    }
    to.to_path_buf()
}
