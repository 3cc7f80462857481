//! Every maximum of the wire by name, with the relations between them asserted at compile time.

/// Cap of a frame whose kind this build does not know, in bytes.
pub const UNKNOWN_FRAME_MAX: u32 = 64 << 10;
/// Cap of the desired document, in bytes.
pub const DESIRED_MAX: u32 = 4 << 20;
/// Cap of a report, an inventory or a telemetry batch, in bytes.
pub const REPORT_MAX: u32 = 1 << 20;
/// Cap of small control messages, in bytes.
pub const CONTROL_MAX: u32 = 64 << 10;
/// Cap of one piece of terminal bytes, its offset included.
pub const SESSION_DATA_MAX: u32 = (32 << 10) + 8;
/// Unacknowledged bytes one session may have in flight on the link, each way.
pub const SESSION_CREDIT: u64 = 64 << 10;
/// Replay ring of one session, in bytes; it grows as used.
pub const SESSION_RING_MAX: usize = 8 << 20;
/// Sessions and tunnels of one cell at a time: a hundred people may look into one allocation.
pub const CELL_SESSIONS_MAX: usize = 192;
/// Output of a batch command that is kept after its cell, in bytes (the last ones win).
pub const CELL_LOG_MAX: usize = 1 << 20;
/// Piece of a kept log in one fact, in bytes.
pub const CELL_LOG_PIECE: usize = 32 << 10;
/// Bidirectional streams that the coordinator permits an agent on one link.
pub const COORDINATOR_BIDI_STREAMS: u32 = 8;
/// One-way streams that the coordinator permits an agent on one link.
pub const COORDINATOR_UNI_STREAMS: u32 = 16;
/// Bidirectional streams that an agent permits the coordinator.
pub const AGENT_BIDI_STREAMS: u32 = 1024;
/// QUIC flow-control window of one stream, in bytes.
pub const STREAM_WINDOW: u32 = 256 << 10;
/// QUIC flow-control window of one link, in bytes.
pub const CONNECTION_WINDOW: u32 = STREAM_WINDOW * AGENT_BIDI_STREAMS;
/// GPUs of one node.
pub const GPUS_PER_NODE: usize = 64;
/// Slots of one node.
pub const SLOTS_PER_NODE: usize = 1024;
/// Cells of one node.
pub const CELLS_PER_NODE: usize = 1024;
/// Samples of one batch.
pub const SAMPLES_PER_BATCH: usize = 64;
/// Facts in one frame.
pub const FACTS_PER_FRAME: usize = 256;

const _: () = assert!(SESSION_DATA_MAX as u64 <= SESSION_CREDIT, "one piece fits the credit");
const _: () = assert!(SESSION_CREDIT <= STREAM_WINDOW as u64, "a stalled viewer stalls only its stream");
const _: () = assert!(CELL_LOG_PIECE < CONTROL_MAX as usize);
const _: () = assert!(CONTROL_MAX <= REPORT_MAX && REPORT_MAX <= DESIRED_MAX);
