//! Terminals: typing, size, exit, coming back, flow.

use crate::kit::{Last, TestCell, again, command, terminal};
use muster_protocol::Kind;
use muster_protocol::limits::{SESSION_CREDIT, SESSION_RING_MAX};
use muster_protocol::session::{SessionAttach, SessionResize, SessionSignal};
use proptest::prelude::*;

#[test]
fn a_shell_echoes_and_its_exit_code_comes_after_its_output() {
    let cell = TestCell::start();
    let mut shell = cell.attach(&terminal("se_1"));
    assert!(!shell.attached.resumed);
    shell.type_(b"echo $((6*7))-$CUDA_VISIBLE_DEVICES-$TERM; [ -t 0 ] && tty\n");
    shell.expect("42-GPU-1-xterm-256color");
    shell.expect("/dev/pts/");
    shell.type_(b"shopt -q login_shell && echo is login; echo last; exit 7\n");
    let exit = shell.until_exit();
    assert_eq!((exit.code, exit.signal.as_str(), exit.reason.as_str()), (7, "", ""));
    assert!(shell.text().contains("is login"));
    assert!(shell.text().contains("last"));
}

#[test]
fn the_size_follows_resize() {
    let cell = TestCell::start();
    let mut shell = cell.attach(&SessionAttach { cols: 132, rows: 40, ..terminal("se_1") });
    shell.type_(b"stty size\n");
    shell.expect("40 132");
    shell.kind_and_send(Kind::SessionResize, &SessionResize { cols: 99, rows: 33 });
    shell.type_(b"stty size\n");
    shell.expect("33 99");
    drop(shell);
    let mut shell = cell.attach(&SessionAttach { cols: 77, rows: 22, ..again("se_1", None) });
    shell.type_(b"stty size\n");
    shell.expect("22 77");
}

#[test]
fn coming_back_goes_on_at_the_offset_and_input_is_numbered() {
    let cell = TestCell::start();
    let mut shell = cell.attach(&terminal("se_1"));
    shell.type_(b"echo one\n");
    shell.expect("\none");
    let (at, typed) = (shell.at, shell.typed);
    drop(shell);
    let mut shell = cell.attach(&again("se_1", Some(at)));
    assert!(shell.attached.resumed);
    assert_eq!((shell.attached.offset, shell.attached.input_offset), (at, typed));
    assert_eq!(shell.attached.skipped_from, None);
    // Sent again by mistake: dropped by its offset.
    shell.typed = typed - 9;
    shell.type_(b"echo one\necho two\n");
    shell.expect("\ntwo");
    assert!(!shell.text().contains("\none"));
    let mut whole = cell.attach(&SessionAttach { read_only: true, ..again("se_1", None) });
    assert_eq!(whole.attached.offset, 0);
    whole.expect("\none");
    whole.expect("\ntwo");
}

#[test]
fn keys_and_signals_reach_the_foreground() {
    let cell = TestCell::start();
    let mut shell = cell.attach(&terminal("se_1"));
    // Said by what stands in the foreground already: a shell between two commands keeps a key to itself.
    shell.type_(b"bash -c 'echo go; exec sleep 1000'\n");
    shell.expect("\ngo");
    shell.type_(b"\x03");
    shell.expect("^C");
    shell.type_(b"echo code $?; bash -c 'echo go again; exec sleep 1000'\n");
    shell.expect("code 130");
    shell.expect("\ngo again");
    shell.kind_and_send(Kind::SessionSignal, &SessionSignal { name: "INT".into() });
    shell.type_(b"echo code again $?\n");
    shell.expect("code again 130");
    shell.kind_and_send(Kind::SessionSignal, &SessionSignal { name: "HUP".into() });
    assert_eq!(shell.until_exit().code, 129);
}

#[test]
fn a_hang_up_ends_a_shell_that_ignores_it_and_spares_what_was_told_to_stay() {
    let cell = TestCell::start();
    let mut shell = cell.attach(&terminal("se_1"));
    shell.type_(b"trap '' HUP; (sleep 1000 & echo pid $! .); echo set-$((1+1))\n");
    shell.expect("set-2");
    let text = shell.text();
    let pid = text.rsplit_once("\npid ").unwrap().1.split(' ').next().unwrap().parse().unwrap();
    shell.kind_and_send(Kind::SessionSignal, &SessionSignal { name: "HUP".into() });
    shell.until_exit();
    assert_eq!(nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), None), Ok(()));
}

#[test]
fn an_ended_session_still_tells_its_tail_and_code() {
    let cell = TestCell::start();
    let mut shell = cell.attach(&command("se_1", true, &["sh", "-c", "echo begin; read x; echo tail; exit 3"]));
    shell.expect("begin");
    let at = shell.at;
    shell.type_(b"\n");
    let mut watch = cell.watch();
    watch.status_until(|status| status.sessions.is_empty());
    drop(shell);
    for _ in 0..2 {
        let mut shell = cell.attach(&again("se_1", Some(at)));
        assert_eq!(shell.until_exit().code, 3);
        assert!(shell.text().contains("tail"));
    }
}

#[test]
fn a_newer_viewer_takes_over_and_lookers_on_stay() {
    let cell = TestCell::start();
    let mut first = cell.attach(&terminal("se_1"));
    let mut looker = cell.attach(&SessionAttach { read_only: true, ..again("se_1", None) });
    let mut second = cell.attach(&again("se_1", None));
    match first.until_last() {
        Last::Error(error) => assert_eq!(error.code, "superseded"),
        other => panic!("{other:?}"),
    }
    second.type_(b"echo from the second\n");
    second.expect("\nfrom the second");
    looker.expect("\nfrom the second");
    looker.type_(b"x");
    match looker.until_last() {
        Last::Error(error) => assert_eq!(error.code, "protocol_error"),
        other => panic!("{other:?}"),
    }
    second.type_(b"exit 0\n");
    assert_eq!(second.until_exit().code, 0);
}

#[test]
fn a_viewer_without_acks_gets_its_credit_and_the_program_waits() {
    let cell = TestCell::start();
    let count = 300_000;
    let script = format!("stty raw; echo go; read x; seq 1 {count}; echo done > $HOME/done; read x");
    let mut shell = cell.attach(&command("se_1", true, &["bash", "-c", &script]));
    shell.expect("go");
    shell.acks = false;
    shell.type_(b"\n");
    let start = shell.at;
    while shell.at - start < SESSION_CREDIT - 4096 {
        assert_eq!(shell.step(), None);
    }
    assert!(shell.at - start <= SESSION_CREDIT);
    assert!(!cell.status_dir().join("done").exists(), "two megabytes went nowhere");
    shell.acks = true;
    // Nobody attached: the program runs on by itself.
    let at = shell.at;
    drop(shell);
    let mut shell = cell.attach(&again("se_1", Some(at)));
    shell.expect(&format!("\n{count}"));
    let text = shell.text();
    let numbers: Vec<u32> = text.split_ascii_whitespace().skip(1).map(|word| word.parse().unwrap()).collect();
    assert!(numbers.windows(2).all(|pair| pair[1] == pair[0] + 1));
    assert_eq!(numbers.last(), Some(&count));
}

#[test]
fn a_viewer_that_takes_nothing_is_detached_and_the_program_runs_on() {
    let cell = TestCell::start_with(|config| config.stall_ms = 300);
    let script = "stty raw; seq 1 300000; echo done > $HOME/done; read x";
    let mut shell = cell.attach(&command("se_1", true, &["bash", "-c", script]));
    shell.acks = false;
    match shell.until_last() {
        Last::Error(error) => assert_eq!(error.code, "stalled"),
        other => panic!("{other:?}"),
    }
    let mut back = cell.attach(&again("se_1", Some(shell.at)));
    back.expect("\n300000");
    // One who takes everything may look for as long as it likes.
    back.until_input_acked(0);
    back.type_(b"\n");
    assert_eq!(back.until_exit().code, 0);
    assert!(cell.status_dir().join("done").exists());
}

#[test]
fn what_the_ring_lost_is_announced() {
    let cell = TestCell::start();
    let total = 3 * SESSION_RING_MAX / 2;
    let script = format!("stty raw; head -c {total} /dev/zero | tr '\\0' x; echo; echo end; read x");
    let shell = cell.attach(&command("se_1", true, &["bash", "-c", &script]));
    drop(shell);
    let mut watch = cell.watch();
    while watch.status().sessions[0].output_bytes < total as u64 {
        watch = cell.watch();
    }
    let mut shell = cell.attach(&again("se_1", Some(10)));
    assert_eq!(shell.attached.skipped_from, Some(10));
    assert!(shell.attached.offset > 10);
    shell.expect("end");
    assert!(shell.output.len() >= SESSION_RING_MAX - 64);
    assert!(shell.skipped.is_empty());
}

/// What the cell keeps of its own, in KiB.
fn anonymous_kib(cell: &TestCell) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", cell.pid())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

#[test]
fn an_idle_terminal_costs_almost_nothing() {
    const COUNT: u64 = 60;
    let cell = TestCell::start();
    let open = |i: u64| {
        let mut shell = cell.attach(&terminal(&format!("se_{i}")));
        shell.type_(b"echo is-$((1+1))\n");
        shell.expect("is-2");
        shell
    };
    let _first = open(COUNT);
    let before = anonymous_kib(&cell);
    let _others: Vec<_> = (0..COUNT).map(open).collect();
    let each = (anonymous_kib(&cell) - before) as f64 / COUNT as f64;
    assert!(each < 50.0, "{each} KiB each");
}

/// One direction of a conversation, cut at random.
fn numbered_lines(count: usize) -> Vec<u8> {
    (0..count).flat_map(|i| format!("{i:07}\n").into_bytes()).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, failure_persistence: None, ..ProptestConfig::default() })]
    /// Typed lines come back through `cat`; the viewer is cut anywhere, resends from the offset it is told.
    #[test]
    fn no_cut_loses_or_doubles_a_byte(cuts in proptest::collection::vec((1usize..60_000, 1usize..20_000), 1..8)) {
        let cell = TestCell::start();
        let lines = numbered_lines(20_000);
        let script = "stty raw -echo; echo ready; exec cat";
        let mut shell = cell.attach(&command("se_1", true, &["bash", "-c", script]));
        shell.expect("ready\n");
        let mut seen = Vec::new();
        let begin = shell.at;
        shell.output.clear();
        let mut cuts = cuts.into_iter();
        let mut cut = cuts.next();
        while seen.len() + shell.output.len() < lines.len() {
            let typed = shell.typed as usize;
            let window = (shell.input_acked as usize + SESSION_CREDIT as usize).min(lines.len());
            let step = cut.map_or(32 << 10, |(_, step)| step);
            if typed < window {
                shell.type_(&lines[typed..window.min(typed + step)]);
            }
            prop_assert_eq!(shell.step(), None);
            if cut.is_some_and(|(after, _)| shell.output.len() >= after) {
                cut = cuts.next();
                seen.append(&mut shell.output);
                let at = begin + seen.len() as u64;
                drop(shell);
                shell = cell.attach(&again("se_1", Some(at)));
                prop_assert_eq!(shell.attached.offset, at);
            }
        }
        seen.append(&mut shell.output);
        prop_assert!(seen == lines);
    }
}
