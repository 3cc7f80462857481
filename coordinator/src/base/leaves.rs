//! Server certificates do not outlive the process's memory of them: they are made, or read from their files, anew
//! while it runs.

use super::http::Problem;
use super::work::{Nudge, Reconciler};
use crate::app::App;
use muster_pki::ca::ServerLeaf;
use muster_pki::server::LeafSwap;
use std::sync::Arc;
use std::time::Duration;

/// Time between two leaves of a door. A file that certbot wrote is seen within it, weeks before its predecessor ends.
const PERIOD: Duration = Duration::from_secs(6 * 3600);

/// Gives new handshakes what `make` gives, again and again. While it fails the leaf at hand stays.
pub fn keep<F>(app: &App, name: &'static str, leaf: Arc<LeafSwap>, make: F)
where
    F: Fn(&App) -> anyhow::Result<ServerLeaf> + Send + Sync + 'static,
{
    let (owner, make) = (app.clone(), Arc::new(make));
    let run = move || {
        let (app, leaf, make) = (owner.clone(), Arc::clone(&leaf), Arc::clone(&make));
        async move {
            // Not on this thread: files may lie on a disk that hangs.
            let made = {
                let app = app.clone();
                app.clone().cpu.run(move || make(&app)).await?
            };
            leaf.replace(made.map_err(|error| Problem::internal(format!("{error:#}")))?).map_err(Problem::internal)
        }
    };
    Reconciler { name, period: PERIOD, nudge: Nudge::default(), run }.start(&app.supervisor);
}
