//! The programs that stand beside this one, to be downloaded: what was built or installed together fits together.

use super::{Caller, Json, Page, Path, Problem};
use crate::app::App;
use crate::base::authz::{self, Scope, Verb};
use crate::base::cpu::Cpu;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use serde::Serialize;
use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::fs::{File, Metadata};
use std::io::Read;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

/// What may be downloaded, if it is there.
const PROGRAMS: [(&str, &str); 2] =
    [("muster", "The command line, for users and operators."), ("muster-agent", "The agent of a node.")];
/// Bytes that are read at a time.
const PIECE: usize = 256 << 10;

/// A file is this one as long as these stay the same.
type Mark = (u64, Option<SystemTime>);

/// The programs beside this one, with the checksums that are known.
#[derive(Debug)]
pub struct Downloads {
    folder: Option<PathBuf>,
    known: Mutex<HashMap<&'static str, (Mark, String)>>,
}

impl Default for Downloads {
    fn default() -> Self {
        let own = std::env::current_exe().ok();
        Self { folder: own.and_then(|own| own.parent().map(PathBuf::from)), known: Mutex::default() }
    }
}

fn mark(metadata: &Metadata) -> Mark {
    (metadata.len(), metadata.modified().ok())
}

impl Downloads {
    /// Opens a program of the list; none if it is not there.
    fn open(&self, name: &str) -> Option<(&'static str, File, Metadata)> {
        let (name, _) = PROGRAMS.iter().find(|(known, _)| *known == name)?;
        let file = File::open(self.folder.as_ref()?.join(name)).ok()?;
        let metadata = file.metadata().ok().filter(Metadata::is_file)?;
        Some((name, file, metadata))
    }

    /// The checksum of a program, computed when it is first asked for and when the file is another one.
    fn sha256(&self, name: &'static str, mut file: File, metadata: &Metadata) -> std::io::Result<String> {
        let lock = || self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, sum)) = lock().get(name).filter(|(known, _)| *known == mark(metadata)) {
            return Ok(sum.clone());
        }
        let (mut sha256, mut piece) = (Sha256::new(), vec![0; PIECE]);
        loop {
            match file.read(&mut piece)? {
                0 => break,
                read => sha256.update(&piece[..read]),
            }
        }
        let sum = hex::encode(sha256.finalize());
        lock().insert(name, (mark(metadata), sum.clone()));
        Ok(sum)
    }

    fn all(&self) -> Result<Vec<Download>, Problem> {
        let mut all = Vec::new();
        for (name, description) in PROGRAMS {
            let Some((name, file, metadata)) = self.open(name) else { continue };
            all.push(Download {
                name,
                description,
                href: format!("/api/v1/downloads/{name}"),
                system: format!("{}-{}", std::env::consts::OS, std::env::consts::ARCH),
                bytes: metadata.len(),
                sha256: self.sha256(name, file, &metadata).map_err(Problem::internal)?,
            });
        }
        Ok(all)
    }
}

/// A program to be downloaded.
#[derive(Debug, Serialize, ToSchema)]
struct Download {
    /// Its file name.
    name: &'static str,
    /// For people.
    description: &'static str,
    /// Where it is.
    href: String,
    /// What it runs on: `linux-x86_64`.
    system: String,
    /// Its size.
    bytes: u64,
    /// Its checksum, hex.
    sha256: String,
}

/// The programs that fit this coordinator; those that do not stand beside it are not in the list.
#[utoipa::path(get, path = "/api/v1/downloads", operation_id = "downloads.list", tag = "system",
    responses((status = 200, body = Page<Download>)))]
async fn list(State(app): State<App>, Caller(cx): Caller) -> Result<Json<Page<Download>>, Problem> {
    authz::require(&cx, Verb::DownloadsList, Scope::Platform)?;
    let own = app.clone();
    Ok(Json(Page::whole(app.cpu.run(move || own.downloads.all()).await??)))
}

/// One of them.
#[utoipa::path(get, path = "/api/v1/downloads/{name}", operation_id = "downloads.show", tag = "system",
    params(("name" = String, Path)),
    responses((status = 200, body = String, content_type = "application/octet-stream")))]
async fn show(State(app): State<App>, Caller(cx): Caller, Path(name): Path<String>) -> Result<Response, Problem> {
    authz::require(&cx, Verb::DownloadsShow, Scope::Platform)?;
    let own = app.clone();
    let found = app.cpu.run(move || own.downloads.open(&name)).await?;
    let (name, file, metadata) = found.ok_or_else(|| Problem::not_found("program"))?;
    let pieces = stream::try_unfold(file, move |file| piece(app.cpu.clone(), file));
    let head = [
        (header::CONTENT_TYPE, "application/octet-stream".to_owned()),
        (header::CONTENT_LENGTH, metadata.len().to_string()),
        (header::CONTENT_DISPOSITION, format!("attachment; filename=\"{name}\"")),
    ];
    Ok((head, Body::from_stream(pieces)).into_response())
}

/// The next piece of a file, read off the thread that answers.
async fn piece(cpu: Cpu, mut file: File) -> Result<Option<(Bytes, File)>, Problem> {
    let read = cpu.run(move || {
        let mut piece = vec![0; PIECE];
        let read = file.read(&mut piece)?;
        piece.truncate(read);
        Ok::<_, std::io::Error>((piece, file))
    });
    let (piece, file) = read.await?.map_err(Problem::internal)?;
    Ok((!piece.is_empty()).then(|| (Bytes::from(piece), file)))
}

/// Routes of both doors.
#[must_use]
pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(list)).routes(routes!(show))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_listed_and_there_is_given_and_its_checksum_is_of_now() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("muster"), "one").unwrap();
        std::fs::write(folder.path().join("secret"), "no").unwrap();
        let downloads = Downloads { folder: Some(folder.path().to_path_buf()), known: Mutex::default() };
        let sum = || downloads.all().unwrap().into_iter().map(|one| (one.name, one.sha256)).collect::<Vec<_>>();
        assert_eq!(sum(), [("muster", hex::encode(Sha256::digest("one")))]);
        for other in ["secret", "../muster", "muster-agent", ""] {
            assert!(downloads.open(other).is_none(), "{other}");
        }
        std::fs::write(folder.path().join("muster"), "another").unwrap();
        assert_eq!(sum(), [("muster", hex::encode(Sha256::digest("another")))], "a file that was replaced");
    }
}
