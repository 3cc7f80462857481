//! The database of a coordinator that is killed while it writes: what was answered is there, once, and whole.
//!
//! The writer is this very test binary, started again with a variable that names the data directory.

use muster_coordinator::app::App;
use muster_coordinator::audit::{self, Event};
use muster_coordinator::base::clock::Clock;
use muster_coordinator::base::cpu::Cpu;
use muster_coordinator::base::rng::Rng;
use muster_coordinator::config::ServeArgs;
use muster_coordinator::{fleet, init};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

const VARIABLE: &str = "MUSTER_TEST_WRITER";
/// Deaths of one run.
const DEATHS: usize = 12;
/// What the writer is let do before it is killed, at most.
const WRITES: usize = 30;

fn app(data_dir: PathBuf) -> App {
    let store = fleet::Database::of(&data_dir, None).unwrap().open().unwrap();
    let args = ServeArgs { data_dir: Some(data_dir), ..ServeArgs::default() };
    App::build(args.resolve().unwrap(), store, Cpu::start().unwrap(), Clock::System, Rng::from_system()).unwrap()
}

#[test]
fn a_database_survives_the_death_of_its_writer_at_any_write() {
    if let Ok(data_dir) = std::env::var(VARIABLE) {
        return write_for_ever(PathBuf::from(data_dir));
    }
    let folder = tempfile::tempdir().unwrap();
    let data_dir = folder.path().join("data");
    init::init(&data_dir, None, "root", "the operator's own words").unwrap();
    let mut answered = Vec::new();
    for death in 0..DEATHS {
        let mut writer = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "deaths::a_database_survives_the_death_of_its_writer_at_any_write", "--nocapture"])
            .env(VARIABLE, &data_dir)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(writer.stdout.take().unwrap()).lines().map_while(Result::ok);
        let kept = lines.filter_map(|line| line.strip_prefix("kept ").map(str::to_owned));
        // Killed after another number of answers each time, in the midst of whatever comes next.
        answered.extend(kept.take(death * 7 % WRITES + 1));
        writer.kill().unwrap();
        writer.wait().unwrap();
        let found = things(&data_dir);
        for name in &answered {
            assert_eq!(found.iter().filter(|thing| *thing == name).count(), 1, "{name} was answered");
        }
    }
    assert!(answered.len() >= DEATHS);
}

/// Names of all things that were made, from a database that is whole.
fn things(data_dir: &Path) -> Vec<String> {
    let connection = rusqlite::Connection::open(fleet::file(data_dir)).unwrap();
    let whole: String = connection.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
    assert_eq!(whole, "ok");
    let mut query = connection.prepare("SELECT target FROM audit_events WHERE action = 'things.make'").unwrap();
    query.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
}

/// Says on stdout only what was answered.
fn write_for_ever(data_dir: PathBuf) {
    let app = app(data_dir);
    let cx = app.system("test");
    for number in 0_u64.. {
        let (act, name) = (cx.clone(), format!("thing-{}-{number}", std::process::id()));
        let made = name.clone();
        app.store.write_blocking(move |tx| audit::record(tx, &act, Event::new("things.make", &made), ())).unwrap();
        // Whoever reads may be gone already; then so is this process in a moment.
        let _ = writeln!(std::io::stdout(), "kept {name}");
    }
}
