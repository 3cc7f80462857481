//! Ends a session from outside, whether somebody is attached or not.

use super::serve::ending_of_link;
use super::verbs;
use crate::app::App;
use crate::base::http::Problem;
use crate::base::limits;
use crate::cx::Cx;
use crate::links::Stream;
use muster_protocol::Kind;
use muster_protocol::ids::{AllocationId, SessionId};
use muster_protocol::session::{SessionAttach, SessionSignal};
use tokio::time::timeout;

/// SIGHUP, and after a while SIGKILL. 404, 409 `session_ended`, 409 `node_offline`.
pub(super) async fn end(app: &App, cx: &Cx, allocation: AllocationId, session: SessionId) -> Result<(), Problem> {
    let (place, row) = verbs::endable(app, cx, allocation, session).await?;
    let offline = || Problem::conflict("node_offline", "The node of this allocation is not connected.").retry_after(1);
    let link = app.links.get(place.node_id).ok_or_else(offline)?;
    let attach = SessionAttach {
        allocation: allocation.to_string(),
        session: session.to_string(),
        terminal: true,
        ..SessionAttach::default()
    };
    let opened = link.open_session(&attach).await;
    let mut stream = opened.map_err(|error| Problem::conflict("node_offline", ending_of_link(&error).detail()))?;
    for name in ["HUP", "KILL"] {
        let signal = SessionSignal { name: name.to_owned() };
        if stream.send(Kind::SessionSignal, &signal).await.is_err() {
            return Err(offline());
        }
        // A session that the cell does not know has ended as well.
        if timeout(limits::TERMINAL_HANGUP, ended(&mut stream)).await.unwrap_or(false) {
            break;
        }
    }
    verbs::ended(app, cx, row).await
}

async fn ended(stream: &mut Stream) -> bool {
    while let Ok(Some(frame)) = stream.next().await {
        match frame.kind {
            Kind::SessionExit | Kind::SessionError => return true,
            _ => {}
        }
    }
    false
}
