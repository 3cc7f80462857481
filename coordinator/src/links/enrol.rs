//! One conversation on `muster-enroll/1`: a request, a reply, and the connection is over.

use super::wire::{FrameReader, WireError, send};
use crate::app::App;
use crate::enrolment;
use muster_protocol::control::close;
use muster_protocol::enrol::{EnrolReply, PROOF_LABEL, PROOF_LEN};
use muster_protocol::frame::encode;
use muster_protocol::{FrameError, Kind};
use quinn::Connection;
use std::time::Duration;

/// How long the agent may take for its request, and for the taking of the reply.
const DEADLINE: Duration = Duration::from_secs(10);

pub(super) async fn serve(app: &App, connection: &Connection) {
    let peer = connection.remote_address();
    match tokio::time::timeout(DEADLINE * 2, talk(app, connection)).await {
        Ok(Ok(())) => connection.close(close::NORMAL.into(), b""),
        Ok(Err(error)) => {
            tracing::info!(%peer, "an enrolment broke off: {error}");
            connection.close(close::PROTOCOL_ERROR.into(), error.to_string().as_bytes());
        }
        Err(_) => connection.close(close::PROTOCOL_ERROR.into(), b"too slow"),
    }
}

async fn talk(app: &App, connection: &Connection) -> Result<(), WireError> {
    let opened = tokio::time::timeout(DEADLINE, connection.accept_bi()).await.map_err(|_| WireError::Deadline)?;
    let (mut stream, recv) = opened.map_err(quinn::ReadError::ConnectionLost)?;
    let mut reader = FrameReader::new(recv);
    let frame = reader.expect_within(DEADLINE).await?;
    let peer = connection.remote_address().ip();
    let reply: EnrolReply = match frame.kind {
        Kind::EnrolRequest => enrolment::link::enrol(app, peer, frame.decode()?).await,
        Kind::EnrolPoll => {
            let mut exporter = [0u8; PROOF_LEN];
            // Fails only if the label were too long, and then no proof holds.
            let _ = connection.export_keying_material(&mut exporter, PROOF_LABEL, b"");
            enrolment::link::poll(app, peer, &exporter, frame.decode()?).await
        }
        other => return Err(FrameError::OutOfPlace(other).into()),
    };
    app.links.meters.enrolment(if reply.refusal.is_empty() { &reply.status } else { &reply.refusal });
    send(&mut stream, encode(Kind::EnrolReply, &reply)).await?;
    // Fails only if the agent has reset the stream already.
    let _ = stream.finish();
    // The agent closes when it has read the reply; closing first could cut it off.
    let _ = tokio::time::timeout(DEADLINE, connection.closed()).await;
    Ok(())
}
