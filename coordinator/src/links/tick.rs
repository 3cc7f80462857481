//! Upkeep of links: composing what was touched, and closing what was revoked.

use super::desired;
use crate::app::App;
use crate::base::http::Problem;
use crate::base::work::Reconciler;
use crate::enrolment;
use muster_protocol::control::close;
use std::time::Duration;

/// Starts the room's reconcilers.
pub(super) fn start(app: &App) {
    let app_ = app.clone();
    Reconciler {
        name: "links.desired",
        period: Duration::from_secs(5),
        nudge: app.nudges.desired.clone(),
        run: move || desired::compose(app_.clone()),
    }
    .start(&app.supervisor);
    let app_ = app.clone();
    Reconciler {
        name: "links.revoked",
        period: Duration::from_secs(5),
        nudge: app.nudges.revoked.clone(),
        run: move || close_revoked(app_.clone()),
    }
    .start(&app.supervisor);
}

/// Puts the revoked rows into force, for handshakes and for live links.
async fn close_revoked(app: App) -> Result<(), Problem> {
    enrolment::verbs::enforce_revoked(&app).await?;
    for link in app.links.all() {
        if app.trust.is_revoked(link.node(), link.0.certificate) {
            tracing::warn!(node = %link.node(), "a live link is closed: its node or certificate is revoked");
            app.links.meters.closed("revoked");
            link.close(close::REVOKED, "the node certificate is revoked");
            // Its own task does so too, when what it was storing is stored: nobody may find it until then.
            app.links.leave(&link.0);
        }
    }
    Ok(())
}
