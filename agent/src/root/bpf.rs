//! The device filter of a version 2 group: a small program of the kernel's, written by hand.

use super::devices::Rule;
use nix::libc;
use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::path::Path;

const PROG_LOAD: libc::c_int = 5;
const PROG_ATTACH: libc::c_int = 8;
const PROG_TYPE_CGROUP_DEVICE: u32 = 15;
const ATTACH_CGROUP_DEVICE: u32 = 6;
/// Filters of groups above stay in force.
const ALLOW_MULTI: u32 = 2;

/// One instruction, `struct bpf_insn`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(C)]
struct Insn {
    code: u8,
    /// Destination in the low half, source in the high half.
    registers: u8,
    offset: i16,
    immediate: i32,
}

const fn insn(code: u8, registers: u8, offset: i16, immediate: i32) -> Insn {
    Insn { code, registers, offset, immediate }
}

/// `dst = *(u32 *)(r1 + offset)`
const fn load(dst: u8, offset: i16) -> Insn {
    insn(0x61, dst | (1 << 4), offset, 0)
}

/// `if dst != value, skip so many`
const fn unless(dst: u8, value: i32, skip: i16) -> Insn {
    insn(0x55, dst, skip, value)
}

/// `return value`
const fn answer(value: i32) -> [Insn; 2] {
    [insn(0xb7, 0, 0, value), insn(0x95, 0, 0, 0)]
}

/// Kind in r2, major in r4, minor in r5; one block of comparisons for each rule; refused at the end.
fn program(rules: &[Rule]) -> Vec<Insn> {
    let number = |value: u32| value.cast_signed();
    let mut code = vec![load(2, 0), insn(0x57, 2, 0, 0xffff), load(4, 4), load(5, 8)];
    for rule in rules {
        let kind = if rule.block { 1 } else { 2 };
        let skip = if rule.minor.is_some() { 4 } else { 3 };
        code.push(unless(2, kind, skip));
        code.push(unless(4, number(rule.major), skip - 1));
        if let Some(minor) = rule.minor {
            code.push(unless(5, number(minor), skip - 2));
        }
        code.extend(answer(1));
    }
    code.extend(answer(0));
    code
}

/// The part of `union bpf_attr` that loading reads; the rest of it is zero by the kernel's rule.
#[derive(Default)]
#[repr(C)]
struct Load {
    kind: u32,
    count: u32,
    instructions: u64,
    license: u64,
    log_level: u32,
    log_size: u32,
    log: u64,
    kernel_version: u32,
    flags: u32,
}

#[derive(Default)]
#[repr(C)]
struct Attach {
    target: u32,
    program: u32,
    kind: u32,
    flags: u32,
}

/// # Safety
/// `attributes` must be laid out as the kernel reads them for `command`, with pointers that are valid.
unsafe fn bpf<T>(command: libc::c_int, attributes: &T) -> io::Result<libc::c_long> {
    // SAFETY: the kernel reads size_of::<T>() bytes from a valid reference; the caller vouches for the rest.
    let result = unsafe { libc::syscall(libc::SYS_bpf, command, std::ptr::from_ref(attributes), size_of::<T>()) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

/// Lets processes of the group open only what the rules name.
pub(super) fn attach_device_filter(group: &Path, rules: &[Rule]) -> io::Result<()> {
    let code = program(rules);
    let load = Load {
        kind: PROG_TYPE_CGROUP_DEVICE,
        count: u32::try_from(code.len()).map_err(io::Error::other)?,
        instructions: code.as_ptr() as u64,
        license: c"Apache-2.0".as_ptr() as u64,
        ..Load::default()
    };
    // SAFETY: `Load` is the kernel's layout; the code and the license outlive the call.
    let fd = unsafe { bpf(PROG_LOAD, &load) }?;
    let fd = RawFd::try_from(fd).map_err(io::Error::other)?;
    // SAFETY: the kernel has just made this descriptor for us.
    let program = unsafe { OwnedFd::from_raw_fd(fd) };
    let group = File::open(group)?;
    let attach = Attach {
        target: group.as_raw_fd().cast_unsigned(),
        program: program.as_raw_fd().cast_unsigned(),
        kind: ATTACH_CGROUP_DEVICE,
        flags: ALLOW_MULTI,
    };
    // SAFETY: `Attach` is the kernel's layout and holds no pointers.
    unsafe { bpf(PROG_ATTACH, &attach) }.map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs the program as the kernel would, on (kind, major, minor).
    fn run(code: &[Insn], kind: u32, major: u32, minor: u32) -> i32 {
        let mut registers = [0_i64; 11];
        let mut at = 0_usize;
        loop {
            let step = code[at];
            at += 1;
            let dst = usize::from(step.registers & 15);
            match step.code {
                0x61 => {
                    let word = [kind | (3 << 16), major, minor][usize::try_from(step.offset / 4).unwrap()];
                    registers[dst] = i64::from(word);
                }
                0x57 => registers[dst] &= i64::from(step.immediate),
                0x55 if registers[dst] != i64::from(step.immediate) => at += usize::try_from(step.offset).unwrap(),
                0x55 => {}
                0xb7 => registers[dst] = i64::from(step.immediate),
                0x95 => return i32::try_from(registers[0]).unwrap(),
                other => panic!("instruction {other:#x}"),
            }
        }
    }

    #[test]
    fn the_program_allows_what_the_rules_name() {
        let rules = [
            Rule { block: false, major: 1, minor: Some(3) },
            Rule { block: false, major: 136, minor: None },
            Rule { block: false, major: 195, minor: Some(255) },
        ];
        let code = program(&rules);
        for (kind, major, minor, allowed) in [
            (2, 1, 3, 1),
            (2, 1, 5, 0),
            (1, 1, 3, 0),
            (2, 136, 77, 1),
            (2, 195, 255, 1),
            (2, 195, 0, 0),
            (1, 254, 0, 0),
        ] {
            assert_eq!(run(&code, kind, major, minor), allowed, "{kind} {major}:{minor}");
        }
        assert_eq!(run(&program(&[]), 2, 1, 3), 0);
    }
}
