//! Numbered, durable events with cumulative acknowledgement: nothing lost across a partition, nothing
//! applied twice. Numbers count up per journal epoch, from 1, without gaps.

use prost::Message;

/// First on the facts stream.
#[derive(Clone, PartialEq, Message)]
pub struct FactsOpen {
    /// Epoch of the journal the numbers belong to.
    #[prost(string, tag = 1)]
    pub journal_epoch: String,
}

/// A piece of the log, in order.
#[derive(Clone, PartialEq, Message)]
pub struct Facts {
    /// At most [`crate::limits::FACTS_PER_FRAME`].
    #[prost(message, repeated, tag = 1)]
    pub items: Vec<Fact>,
}

/// All facts up to `number` are stored.
#[derive(Clone, PartialEq, Message)]
pub struct FactsAck {
    /// Cumulative.
    #[prost(uint64, tag = 1)]
    pub number: u64,
}

/// One event.
#[derive(Clone, PartialEq, Message)]
pub struct Fact {
    /// Its place in the log.
    #[prost(uint64, tag = 1)]
    pub number: u64,
    /// The agent's clock, ms since 1970.
    #[prost(int64, tag = 2)]
    pub at_ms: i64,
    /// What happened; a kind of a newer agent is stored as nothing and acknowledged.
    #[prost(oneof = "FactBody", tags = "10, 11, 12, 13")]
    pub body: Option<FactBody>,
}

/// What happened.
#[derive(Clone, PartialEq, prost::Oneof)]
pub enum FactBody {
    /// A GPU said something.
    #[prost(message, tag = "10")]
    Xid(Xid),
    /// A cell came, changed or went.
    #[prost(message, tag = "11")]
    Cell(CellChange),
    /// A piece of what a batch command printed.
    #[prost(message, tag = "12")]
    Log(CellLog),
    /// Cells have run for a while.
    #[prost(message, tag = "13")]
    Usage(Usage),
}

/// An XID event of the driver.
#[derive(Clone, PartialEq, Message)]
pub struct Xid {
    /// `GPU-…`.
    #[prost(string, tag = 1)]
    pub gpu_uuid: String,
    /// The number.
    #[prost(uint64, tag = 2)]
    pub xid: u64,
    /// `nvml` or `kernel`.
    #[prost(string, tag = 3)]
    pub source: String,
}

/// A cell changed its phase.
#[derive(Clone, PartialEq, Message)]
pub struct CellChange {
    /// Its allocation.
    #[prost(string, tag = 1)]
    pub allocation: String,
    /// [`crate::report::Phase`].
    #[prost(int32, tag = 2)]
    pub phase: i32,
    /// For people.
    #[prost(string, tag = 3)]
    pub detail: String,
}

/// How long cells have run since this was said last.
#[derive(Clone, PartialEq, Message)]
pub struct Usage {
    /// One a cell, at most [`crate::limits::CELLS_PER_NODE`].
    #[prost(message, repeated, tag = 1)]
    pub items: Vec<UsageInterval>,
}

/// An interval of a cell's own time, in ms since the agent saw it stand first. Those of a cell follow each other
/// without gap or overlap within a journal epoch, whatever happens to wall clocks and to the agent.
#[derive(Clone, PartialEq, Message)]
pub struct UsageInterval {
    /// Its allocation.
    #[prost(string, tag = 1)]
    pub allocation: String,
    /// Lease it runs under.
    #[prost(uint64, tag = 2)]
    pub lease_epoch: u64,
    /// Begin: the end of the interval before.
    #[prost(uint64, tag = 3)]
    pub from_ms: u64,
    /// End, excluded.
    #[prost(uint64, tag = 4)]
    pub until_ms: u64,
}

/// A piece of what a batch command printed, sent when it has ended.
#[derive(Clone, PartialEq, Message)]
pub struct CellLog {
    /// Its allocation.
    #[prost(string, tag = 1)]
    pub allocation: String,
    /// Offset of the piece in all that was printed.
    #[prost(uint64, tag = 2)]
    pub offset: u64,
    /// At most [`crate::limits::CELL_LOG_PIECE`] bytes.
    #[prost(bytes = "vec", tag = 3)]
    pub bytes: Vec<u8>,
    /// No piece follows.
    #[prost(bool, tag = 4)]
    pub last: bool,
}
