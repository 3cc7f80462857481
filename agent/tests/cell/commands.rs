//! Commands on pipes, as `muster exec` runs them.

use crate::kit::{Last, TestCell, again, command};
use muster_protocol::Kind;
use muster_protocol::session::{SessionAttach, SessionEof, SessionSignal};

#[test]
fn stdin_ends_and_both_outputs_stay_apart() {
    let cell = TestCell::start();
    let mut run = cell.attach(&command("se_1", false, &["sh", "-c", "wc -c; echo oops >&2; [ -t 1 ] || exit 4"]));
    let input = vec![b'x'; 50_000];
    run.type_(&input);
    run.kind_and_send(Kind::SessionEof, &SessionEof {});
    assert_eq!(run.until_exit().code, 4);
    assert_eq!(run.text().trim(), "50000");
    assert_eq!(run.errors, b"oops\n");
}

#[test]
fn much_input_is_acknowledged_as_it_is_taken() {
    let cell = TestCell::start();
    let mut run = cell.attach(&command("se_1", false, &["sha256sum"]));
    for _ in 0..32 {
        run.type_(&[7; 32 << 10]);
        run.until_input_acked(run.typed - (32 << 10));
    }
    run.until_input_acked(run.typed);
    run.kind_and_send(Kind::SessionEof, &SessionEof {});
    assert_eq!(run.until_exit().code, 0);
    assert!(run.text().ends_with("  -\n"));
}

#[test]
fn programs_that_are_not_there_say_so() {
    let cell = TestCell::start();
    for (argv, code) in [("no-such-program", 127), ("/etc/passwd", 126), ("/nowhere/x", 127)] {
        let mut run = cell.attach(&command(&format!("se_{code}{}", argv.len()), false, &[argv]));
        assert_eq!(run.until_exit().code, code, "{argv}");
        assert!(String::from_utf8_lossy(&run.errors).contains(argv));
    }
}

#[test]
fn signals_have_names_both_ways() {
    let cell = TestCell::start();
    let mut run = cell.attach(&command("se_1", false, &["sh", "-c", "echo up; exec sleep 1000"]));
    run.expect("up");
    run.kind_and_send(Kind::SessionSignal, &SessionSignal { name: "TERM".into() });
    let exit = run.until_exit();
    assert_eq!((exit.code, exit.signal.as_str()), (143, "TERM"));
}

#[test]
fn it_ends_with_its_viewer_if_so_opened() {
    let cell = TestCell::start();
    let mut watch = cell.watch();
    let script = "(trap '' HUP TERM; exec sleep 1000) & echo $!; echo up; wait";
    let attach = SessionAttach { end_on_detach: true, ..command("se_1", false, &["bash", "-c", script]) };
    let mut run = cell.attach(&attach);
    run.expect("up");
    let child: i32 = run.text().lines().next().unwrap().parse().unwrap();
    drop(run);
    watch.status_until(|status| status.sessions.len() == 1);
    watch.status_until(|status| status.sessions.is_empty());
    // It was killed just before that was said, and is reaped by the cell.
    let pid = nix::unistd::Pid::from_raw(child);
    let mut asks = 0;
    while nix::sys::signal::kill(pid, None).is_ok() {
        asks += 1;
        assert!(asks < 1_000_000, "a child outlived the viewer");
        std::thread::yield_now();
    }
}

#[test]
fn a_program_that_does_not_read_leaves_the_others_alone() {
    let cell = TestCell::start();
    let mut deaf = cell.attach(&command("se_1", false, &["sleep", "1000"]));
    deaf.type_(&[b'x'; 64 << 10]);
    let mut run = cell.attach(&command("se_2", false, &["echo", "fine"]));
    assert_eq!(run.until_exit().code, 0);
    assert_eq!(run.text(), "fine\n");
    let mut closed = cell.attach(&command("se_3", false, &["sh", "-c", "exec <&-; echo closed; sleep 1000"]));
    closed.expect("closed");
    closed.type_(&[b'x'; 64 << 10]);
    closed.until_input_acked(64 << 10);
}

#[test]
fn more_input_than_the_credit_and_gaps_are_refused() {
    let cell = TestCell::start();
    for too_much in [true, false] {
        let name = if too_much { "se_1" } else { "se_2" };
        let mut run = cell.attach(&command(name, false, &["sleep", "1000"]));
        if too_much {
            run.type_(&[b'x'; 192 << 10]);
        } else {
            run.typed = 5;
            run.type_(b"x");
        }
        match run.until_last() {
            Last::Error(error) => assert_eq!(error.code, "protocol_error"),
            other => panic!("{other:?}"),
        }
        cell.attach(&again(name, None));
    }
}

#[test]
fn payloads_inherit_nothing_and_get_no_new_rights() {
    let cell = TestCell::start();
    let script = "ls /proc/self/fd | wc -l; grep -E 'NoNewPrivs|Seccomp:|SigIgn|SigBlk' /proc/self/status";
    let mut run = cell.attach(&command("se_1", false, &["sh", "-c", script]));
    assert_eq!(run.until_exit().code, 0);
    let text = run.text().replace('\t', "");
    // The three, and the one that `ls` reads the directory with.
    assert!(text.starts_with("4\n"), "{text}");
    assert!(text.contains("NoNewPrivs:1"), "{text}");
    assert!(text.contains("Seccomp:2"), "{text}");
    assert!(text.contains("SigIgn:0000000000000000"), "{text}");
    assert!(text.contains("SigBlk:0000000000000000"), "{text}");
}
