//! System calls that payloads never get: they act on the whole machine, or open much kernel for little use.
//!
//! A list of what is refused, not of what is allowed: people run compilers, debuggers and anything else in a
//! cell. User namespaces stay allowed (rootless containers); their rights end at the cell's walls.

use nix::libc;
use seccompiler::{BpfProgram, SeccompAction, SeccompFilter, SeccompRule};
use std::collections::BTreeMap;

/// Refused with EPERM.
const REFUSED: &[libc::c_long] = &[
    libc::SYS_acct,
    libc::SYS_add_key,
    libc::SYS_adjtimex,
    libc::SYS_bpf,
    libc::SYS_clock_adjtime,
    libc::SYS_clock_settime,
    libc::SYS_delete_module,
    libc::SYS_fanotify_init,
    libc::SYS_finit_module,
    libc::SYS_init_module,
    libc::SYS_io_uring_enter,
    libc::SYS_io_uring_register,
    libc::SYS_io_uring_setup,
    libc::SYS_kexec_file_load,
    libc::SYS_kexec_load,
    libc::SYS_keyctl,
    libc::SYS_lookup_dcookie,
    libc::SYS_nfsservctl,
    libc::SYS_open_by_handle_at,
    libc::SYS_perf_event_open,
    libc::SYS_quotactl,
    libc::SYS_reboot,
    libc::SYS_request_key,
    libc::SYS_settimeofday,
    libc::SYS_swapoff,
    libc::SYS_swapon,
    libc::SYS_syslog,
    libc::SYS_userfaultfd,
    libc::SYS_vhangup,
];

/// Refused as well where the machine has them.
#[cfg(target_arch = "x86_64")]
const REFUSED_HERE: &[libc::c_long] =
    &[libc::SYS_ioperm, libc::SYS_iopl, libc::SYS_kexec_file_load, libc::SYS_modify_ldt, libc::SYS_uselib];
#[cfg(not(target_arch = "x86_64"))]
const REFUSED_HERE: &[libc::c_long] = &[];

/// Bit of the x32 calling convention, through which the same calls could be made under other numbers.
#[cfg(target_arch = "x86_64")]
const OTHER_NUMBERS: libc::c_long = 0x4000_0000;
#[cfg(not(target_arch = "x86_64"))]
const OTHER_NUMBERS: libc::c_long = 0;

/// The filter; none if this machine's architecture has none.
pub(super) fn program() -> Option<BpfProgram> {
    let arch = std::env::consts::ARCH.try_into().ok()?;
    let rules: BTreeMap<i64, Vec<SeccompRule>> = REFUSED
        .iter()
        .chain(REFUSED_HERE)
        .flat_map(|call| [*call, call | OTHER_NUMBERS])
        .map(|call| (call, vec![]))
        .collect();
    let refuse = SeccompAction::Errno(libc::EPERM as u32);
    SeccompFilter::new(rules, SeccompAction::Allow, refuse, arch).ok()?.try_into().ok()
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_list_compiles() {
        assert!(super::program().is_some_and(|program| program.len() > super::REFUSED.len()));
    }
}
