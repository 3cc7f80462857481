//! The console's pages: what `npm run build` left in `console/dist`, one bundle a door, inside this binary.
//!
//! A debug build reads them from the tree at every request. A build without them is a whole coordinator; its
//! front page says how to build the console.

use super::frame::RequestInfo;
use super::{Door, Problem};
use axum::Extension;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use rust_embed::{EmbeddedFile, RustEmbed};

#[derive(RustEmbed)]
#[folder = "../console/dist/console"]
#[allow_missing = true]
struct ConsolePages;

#[derive(RustEmbed)]
#[folder = "../console/dist/operator"]
#[allow_missing = true]
struct OperatorPages;

/// Scripts come from this origin alone. Styles may be inline: the terminal and the charts set them.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self'; \
                      font-src 'self'; connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'";
/// Names under `assets/` carry a hash of what is in them.
const FOREVER: &str = "public, max-age=31536000, immutable";
/// First parts of the addresses that a door's router knows, older ones that lead on included. Others are 404: the page
/// is shown all the same, and says so.
const CONSOLE: [&str; 14] = [
    "",
    "access",
    "account",
    "allocations",
    "auth",
    "compute",
    "developer",
    "infra",
    "launch",
    "settings",
    "ssh-keys",
    "tasks",
    "terminal",
    "workloads",
];
const OPERATOR: [&str; 11] = [
    "",
    "account",
    "admin",
    "allocations",
    "audit",
    "auth",
    "bootstrap-tokens",
    "nodes",
    "platform",
    "settings",
    "skus",
];
const MISSING: &str = "<!doctype html><html lang=\"en\"><title>Muster</title><h1>The API is here, the console is \
                       not</h1><p>This coordinator was built without its pages. With Node 20.19 or newer, run \
                       <code>make build</code>, or in the folder <code>console</code> <code>npm ci</code> and \
                       <code>npm run build</code>, and build the coordinator again.<p>The API describes itself at \
                       <a href=\"/api/v1/openapi.json\">/api/v1/openapi.json</a>.";

/// Answers what no route does: a file of the bundle, the page for an address that a browser asks for, 404 else.
pub async fn serve(
    Extension(info): Extension<RequestInfo>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let path = uri.path();
    if !matches!(method, Method::GET | Method::HEAD) || is_of_the_api(path) {
        return Err(Problem::not_found("route"));
    }
    let gzip = takes(&headers, header::ACCEPT_ENCODING, "gzip");
    let name = path.trim_start_matches('/');
    if let Some(found) = find(info.door, name, gzip).filter(|_| name != "index.html") {
        return Ok(answer(found, name));
    }
    // A file that is gone (a page from before an upgrade asks for it) is not the front page.
    if name.starts_with("assets/") || (!name.is_empty() && !takes(&headers, header::ACCEPT, "text/html")) {
        return Err(Problem::not_found("route"));
    }
    let built = find(info.door, "index.html", gzip).is_some();
    let shown = name.is_empty() || (built && is_a_page(info.door, name));
    front(&info, &headers, if shown { StatusCode::OK } else { StatusCode::NOT_FOUND })
}

/// The page that shows every address, with a status of its own.
///
/// # Errors
/// 404 for a client that takes no pages.
pub fn front(info: &RequestInfo, headers: &HeaderMap, status: StatusCode) -> Result<Response, Problem> {
    if status == StatusCode::NOT_FOUND && !takes(headers, header::ACCEPT, "text/html") {
        return Err(Problem::not_found("route"));
    }
    let gzip = takes(headers, header::ACCEPT_ENCODING, "gzip");
    let Some(found) = find(info.door, "index.html", gzip) else {
        let mut response = (status, MISSING).into_response();
        set(&mut response, header::CONTENT_TYPE, "text/html; charset=utf-8");
        return Ok(response);
    };
    let mut response = answer(found, "index.html");
    *response.status_mut() = status;
    Ok(response)
}

struct Found {
    file: EmbeddedFile,
    gzip: bool,
}

fn get(door: Door, name: &str) -> Option<EmbeddedFile> {
    match door {
        Door::Console => ConsolePages::get(name),
        Door::Operator => OperatorPages::get(name),
    }
}

fn find(door: Door, name: &str, gzip: bool) -> Option<Found> {
    if name.is_empty() || name.split('/').any(|part| part.is_empty() || part.starts_with('.')) {
        return None;
    }
    let small = || get(door, &format!("{name}.gz")).map(|file| Found { file, gzip: true });
    let plain = || get(door, name).map(|file| Found { file, gzip: false });
    if gzip { small().or_else(plain) } else { plain() }
}

fn answer(found: Found, name: &str) -> Response {
    let mut response = found.file.data.into_owned().into_response();
    set(&mut response, header::CONTENT_TYPE, kind(name));
    set(&mut response, header::VARY, "accept-encoding");
    if found.gzip {
        set(&mut response, header::CONTENT_ENCODING, "gzip");
    }
    set(&mut response, header::CACHE_CONTROL, if name.starts_with("assets/") { FOREVER } else { "no-cache" });
    set(&mut response, header::CONTENT_SECURITY_POLICY, POLICY);
    response
}

fn set(response: &mut Response, name: header::HeaderName, value: &'static str) {
    response.headers_mut().insert(name, HeaderValue::from_static(value));
}

fn takes(headers: &HeaderMap, name: header::HeaderName, what: &str) -> bool {
    headers.get_all(name).iter().filter_map(|value| value.to_str().ok()).any(|value| value.contains(what))
}

fn is_of_the_api(path: &str) -> bool {
    let first = path.trim_start_matches('/').split('/').next().unwrap_or_default();
    matches!(first, "api" | "ws" | "healthz" | "readyz" | "metrics")
}

fn is_a_page(door: Door, name: &str) -> bool {
    let first = name.split('/').next().unwrap_or_default();
    match door {
        Door::Console => CONSOLE.contains(&first),
        Door::Operator => OPERATOR.contains(&first),
    }
}

fn kind(name: &str) -> &'static str {
    match name.rsplit('.').next() {
        Some("html") => "text/html; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("svg") => "image/svg+xml",
        Some("woff2") => "font/woff2",
        Some("json" | "map") => "application/json",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_api_is_never_a_page() {
        for path in ["/api", "/api/v1/nothing", "//api/v1", "/ws/terminal/x", "/metrics"] {
            assert!(is_of_the_api(path), "{path}");
        }
        for path in ["/", "/workloads/al_1", "/apiary", "/auth/login"] {
            assert!(!is_of_the_api(path), "{path}");
        }
    }

    #[test]
    fn nothing_outside_the_bundle_has_a_name() {
        for name in ["", "../Cargo.toml", "assets/../../x", ".hidden", "assets//x"] {
            assert!(find(Door::Console, name, true).is_none(), "{name}");
        }
    }
}
