//! Every message there is: number, direction, cap. A number is never reused.

use crate::limits::{CONTROL_MAX, DESIRED_MAX, REPORT_MAX, SESSION_DATA_MAX, UNKNOWN_FRAME_MAX};

macro_rules! kinds {
    ($($(#[$doc:meta])* $name:ident = $number:literal, $cap:expr;)*) => {
        /// What a frame carries.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Kind {
            $($(#[$doc])* $name,)*
            /// A kind of a newer peer: skipped.
            Unknown(u16),
        }

        impl Kind {
            /// Every kind this build knows.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];

            /// The number on the wire.
            #[must_use]
            pub fn number(self) -> u16 {
                match self { $(Self::$name => $number,)* Self::Unknown(number) => number }
            }

            /// The kind behind a number.
            #[must_use]
            pub fn from_number(number: u16) -> Self {
                match number { $($number => Self::$name,)* other => Self::Unknown(other) }
            }

            /// Largest body in bytes.
            #[must_use]
            pub fn cap(self) -> u32 {
                match self { $(Self::$name => $cap,)* Self::Unknown(_) => UNKNOWN_FRAME_MAX }
            }
        }
    };
}

kinds! {
    /// agent → coordinator, first on the control stream.
    Hello = 1, CONTROL_MAX;
    /// coordinator → agent: the link is up.
    Welcome = 2, CONTROL_MAX;
    /// coordinator → agent: no link, with the reason; the connection closes after it.
    Refused = 3, CONTROL_MAX;
    /// agent → coordinator.
    Heartbeat = 4, CONTROL_MAX;
    /// coordinator → agent.
    HeartbeatAck = 5, CONTROL_MAX;
    /// coordinator → agent: what should be.
    Desired = 6, DESIRED_MAX;
    /// agent → coordinator: what is.
    Report = 7, REPORT_MAX;
    /// agent → coordinator: a CSR for the next certificate.
    RenewRequest = 8, CONTROL_MAX;
    /// coordinator → agent: the next certificate, or why not.
    RenewReply = 9, CONTROL_MAX;
    /// coordinator → agent: reconnect after a spread delay.
    DrainNotice = 10, CONTROL_MAX;
    /// agent → coordinator: the machine, its GPUs and the slots found in them.
    Inventory = 11, REPORT_MAX;

    /// agent → coordinator on `muster-enroll/1`: token, CSR, facts.
    EnrolRequest = 20, CONTROL_MAX;
    /// agent → coordinator on `muster-enroll/1`: proof of the key of a pending or known node.
    EnrolPoll = 21, CONTROL_MAX;
    /// coordinator → agent on `muster-enroll/1`.
    EnrolReply = 22, CONTROL_MAX;

    /// agent → coordinator, one-way stream.
    Telemetry = 30, REPORT_MAX;

    /// agent → coordinator, first on the facts stream.
    FactsOpen = 40, CONTROL_MAX;
    /// agent → coordinator: numbered facts.
    Facts = 41, REPORT_MAX;
    /// coordinator → agent: all facts up to this number are stored.
    FactsAck = 42, CONTROL_MAX;

    /// coordinator → agent, first on a task stream.
    TaskOffer = 50, CONTROL_MAX;
    /// agent → coordinator: journalled, will run.
    TaskAccepted = 51, CONTROL_MAX;
    /// agent → coordinator.
    TaskProgress = 52, CONTROL_MAX;
    /// agent → coordinator.
    TaskLog = 53, CONTROL_MAX;
    /// agent → coordinator: the end of a task.
    TaskResult = 54, REPORT_MAX;
    /// coordinator → agent: the result is stored and may be forgotten.
    TaskResultAck = 55, CONTROL_MAX;

    /// coordinator → agent → cell, first on a session stream.
    SessionAttach = 60, CONTROL_MAX;
    /// cell → agent → coordinator.
    SessionAttached = 61, CONTROL_MAX;
    /// towards the cell: offset and raw stdin.
    SessionInput = 62, SESSION_DATA_MAX;
    /// from the cell: offset and raw output.
    SessionOutput = 63, SESSION_DATA_MAX;
    /// from the cell: raw stderr of a command without a terminal, numbered like output.
    SessionErrOutput = 64, SESSION_DATA_MAX;
    /// both ways: everything before this offset has been taken.
    SessionAck = 65, CONTROL_MAX;
    /// towards the cell.
    SessionResize = 66, CONTROL_MAX;
    /// towards the cell.
    SessionSignal = 67, CONTROL_MAX;
    /// towards the cell: end of stdin.
    SessionEof = 68, CONTROL_MAX;
    /// from the cell: the command ended; nothing follows.
    SessionExit = 69, CONTROL_MAX;
    /// from the cell or the agent: the attach is refused or over.
    SessionError = 70, CONTROL_MAX;
    /// from the cell: output that fell out of the ring.
    SessionSkipped = 71, CONTROL_MAX;

    /// coordinator → agent → cell, first on a tunnel stream.
    TunnelOpen = 80, CONTROL_MAX;
    /// agent → coordinator: raw bytes follow both ways.
    TunnelReady = 81, CONTROL_MAX;
    /// agent → coordinator.
    TunnelRefused = 82, CONTROL_MAX;

    /// agent → cell, first on a status connection.
    CellWatch = 90, CONTROL_MAX;
    /// cell → agent: what the cell is; sent at once and on every change.
    CellStatus = 91, CONTROL_MAX;
    /// agent → cell: tell the sessions and end them.
    CellEnd = 92, CONTROL_MAX;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_round_trip() {
        for kind in Kind::ALL {
            assert_eq!(Kind::from_number(kind.number()), *kind);
        }
        assert_eq!(Kind::from_number(60_000), Kind::Unknown(60_000));
    }
}
