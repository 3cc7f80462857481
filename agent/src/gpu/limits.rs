//! Times and sizes of the GPU side by name.

use std::time::Duration;

/// How often figures are read.
pub const SAMPLE_EVERY: Duration = Duration::from_secs(1);
/// Samples between two looks at what changes slowly or costs much (ECC, fans, process counts).
pub const SLOW_EVERY: u64 = 5;
/// Samples between two readings of the facts (MIG mode, instances, limits).
pub const FACTS_EVERY: u64 = 10;
/// Figures older than this are withdrawn; slow ones after [`SLOW_EVERY`] times as long.
pub const FRESH: Duration = Duration::from_millis(2_500);
/// A call that takes longer marks its GPU as hung. With [`SAMPLE_EVERY`] and [`WATCH_EVERY`] before it, that is
/// within two seconds of the fault.
pub const DEADLINE: Duration = Duration::from_millis(700);
/// As [`DEADLINE`] for the first calls to a GPU, which may have to wake it.
pub const FIRST_DEADLINE: Duration = Duration::from_secs(10);
/// How often the watch thread looks at the lanes.
pub const WATCH_EVERY: Duration = Duration::from_millis(250);
/// How long a question to a GPU waits for its answer.
pub const ANSWER_MAX: Duration = Duration::from_secs(2);
/// Questions that wait for one GPU.
pub const QUESTIONS_MAX: usize = 16;
/// How long the start waits for the first inventory.
pub const START_MAX: Duration = Duration::from_secs(3);
/// How often a driver that is not there is looked for again.
pub const DRIVER_RETRY: Duration = Duration::from_secs(15);
/// How long one wait for events lasts.
pub const EVENTS_WAIT: Duration = Duration::from_secs(2);
/// XIDs kept.
pub const XIDS_KEPT: usize = 1024;
/// The driver and the kernel speak of the same XID if they do within so many ms.
pub const SAME_XID_MS: i64 = 10_000;
/// Stack of a GPU thread, in bytes.
pub const STACK: usize = 512 << 10;

const _: () = assert!(
    DEADLINE.as_millis() + SAMPLE_EVERY.as_millis() + WATCH_EVERY.as_millis() < 2_000,
    "a hung GPU is flagged within two seconds"
);
const _: () = assert!(ANSWER_MAX.as_millis() > DEADLINE.as_millis());
const _: () = assert!(FRESH.as_millis() > 2 * SAMPLE_EVERY.as_millis());
