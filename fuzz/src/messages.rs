//! Any frame's body as the message of its kind: what is understood is understood again when it is written.

use muster_protocol::frame::encode;
use muster_protocol::{
    Frame, FrameDecoder, Kind, cell, control, enrol, facts, inventory, report, session, task, telemetry, tunnel,
};

pub(crate) fn again(frame: &Frame) {
    macro_rules! messages {
        ($($kind:ident $message:ty;)*) => {
            match frame.kind {
                $(Kind::$kind => {
                    let Ok(message) = frame.decode::<$message>() else { return };
                    let mut decoder = FrameDecoder::default();
                    decoder.push(&encode(Kind::$kind, &message));
                    // What a lenient reader took may be longer when it is written: then it does not fit its cap.
                    let Ok(Some(written)) = decoder.next() else { return };
                    assert_eq!(written.decode::<$message>().as_ref(), Ok(&message));
                })*
                _ => drop(frame.numbered()),
            }
        };
    }
    messages! {
        Hello control::Hello; Welcome control::Welcome; Refused control::Refused; Heartbeat control::Heartbeat;
        HeartbeatAck control::HeartbeatAck; Desired control::Desired; RenewRequest control::RenewRequest;
        RenewReply control::RenewReply; DrainNotice control::DrainNotice; Report report::Report;
        Inventory inventory::Inventory; Telemetry telemetry::Sample; EnrolRequest enrol::EnrolRequest;
        EnrolPoll enrol::EnrolPoll; EnrolReply enrol::EnrolReply; FactsOpen facts::FactsOpen; Facts facts::Facts;
        FactsAck facts::FactsAck; TaskOffer task::TaskOffer; TaskAccepted task::TaskAccepted;
        TaskProgress task::TaskProgress; TaskLog task::TaskLog; TaskResult task::TaskResult;
        TaskResultAck task::TaskResultAck; SessionAttach session::SessionAttach;
        SessionAttached session::SessionAttached; SessionAck session::SessionAck;
        SessionResize session::SessionResize; SessionSignal session::SessionSignal; SessionEof session::SessionEof;
        SessionExit session::SessionExit; SessionError session::SessionError;
        SessionSkipped session::SessionSkipped; TunnelOpen tunnel::TunnelOpen; TunnelReady tunnel::TunnelReady;
        TunnelRefused tunnel::TunnelRefused; CellWatch cell::CellWatch; CellStatus cell::CellStatus;
        CellEnd cell::CellEnd;
    }
}
