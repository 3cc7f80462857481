//! The journal of an agent that is killed while it writes: what was promised is there, in order, and whole.
//!
//! The writer is this very test binary, started again with a variable that names the file.

use muster_agent::{
    clock::Moment,
    journal::{Journal, KeptResult, KeptTask},
};
use muster_protocol::facts::{FactBody, Xid};
use std::{
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Command, Stdio},
};

const VARIABLE: &str = "MUSTER_TEST_JOURNAL";
/// Deaths of one run.
const DEATHS: u32 = 25;
/// What the writer is let do before it is killed, at most.
const WRITES: u32 = 40;

#[tokio::test]
async fn a_journal_survives_the_death_of_its_writer_at_any_write() {
    if let Ok(path) = std::env::var(VARIABLE) {
        return write_for_ever(Path::new(&path)).await;
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal.db");
    let (mut facts, mut used_ms, mut epoch) = (0, 0, String::new());
    for death in 0..DEATHS {
        let mut writer = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "a_journal_survives_the_death_of_its_writer_at_any_write", "--nocapture"])
            .env(VARIABLE, &path)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        // Killed after another number of promises each time, in the midst of whatever comes next.
        let promises = BufReader::new(writer.stdout.take().unwrap()).lines().map_while(Result::ok);
        let promised: Vec<String> =
            promises.filter(|line| line.starts_with("kept ")).take((death * 7 % WRITES + 1) as usize).collect();
        writer.kill().unwrap();
        writer.wait().unwrap();

        let journal = Journal::open(&path).unwrap();
        assert!(epoch.is_empty() || epoch == journal.epoch(), "it is still the same journal");
        epoch = journal.epoch().to_owned();
        let all = journal.facts_after(0, 1_000_000).await.unwrap();
        assert!(all.iter().zip(1..).all(|(fact, number)| fact.number == number), "numbers without a gap");
        let last = promised.last().expect("the writer writes");
        let words: Vec<&str> = last.split(' ').collect();
        assert!(all.len() >= words[1].parse().unwrap() && all.len() >= facts, "{last}: {} facts", all.len());
        facts = all.len();
        // The time of the cell is told whole: each interval begins where the last one ended.
        let mut told = 0;
        for fact in &all {
            let Some(FactBody::Usage(usage)) = &fact.body else { continue };
            assert_eq!(usage.items[0].from_ms, told);
            told = usage.items[0].until_ms;
        }
        assert!(told >= used_ms, "{told} of {used_ms}");
        used_ms = told;
        // A task that was taken is never new again; one whose result was promised has it.
        let id = words[2].to_owned();
        let kept = journal.accept_task(id.clone(), "probe".into(), 1).await.unwrap();
        assert!(matches!(kept, KeptTask::Done(_)), "{id}: {kept:?}");
    }
}

/// Promises on stdout only what was answered.
async fn write_for_ever(path: &Path) {
    let journal = Journal::open(path).unwrap();
    let start = journal.facts_after(0, 1_000_000).await.unwrap().len();
    let mut written = start;
    for number in 0_u64.. {
        let body = FactBody::Xid(Xid { gpu_uuid: "GPU-1".into(), xid: number, source: "nvml".into() });
        assert!(journal.fact(1, body).await.unwrap());
        written += 1;
        let boot_ms = i64::try_from(start as u64 + number).unwrap() * 10;
        let now = Moment { wall_ms: 1, boot_ms, boot_id: "boot".into() };
        written += usize::from(journal.usage(now, vec![("al_1".into(), 1)]).await.unwrap());
        let id = format!("nt_{start}_{number}");
        assert_eq!(journal.accept_task(id.clone(), "probe".into(), 1).await.unwrap(), KeptTask::New);
        let result = KeptResult { code: "ok".into(), ..KeptResult::default() };
        journal.finish_task(id.clone(), result, 1).await.unwrap();
        // Whoever reads may be gone already; then so is this process in a moment.
        let _ = writeln!(std::io::stdout(), "kept {written} {id}");
    }
}
