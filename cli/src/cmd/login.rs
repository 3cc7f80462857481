//! `muster login`, `logout`, `whoami`, `token`.

use super::Context;
use crate::{
    api::{anonymous, with_tokens},
    error::{Error, Result},
    http::Origin,
    output,
    profile::{self, Door},
};
use clap::Args;
use serde_json::{Value, json};
use std::{
    io::{IsTerminal, Read},
    path::PathBuf,
};

/// Where to sign in, as whom.
///
/// The password is read from stdin, so that it stands in no argument list and no history.
#[derive(Debug, Args)]
pub struct Login {
    /// Address of the door, like https://muster.example:8443.
    #[arg(long, env = "MUSTER_URL")]
    url: String,
    /// Who.
    #[arg(long)]
    username: String,
    /// Read the password from stdin, up to its end; one newline at the end does not count. A terminal is asked instead.
    #[arg(long)]
    password_stdin: bool,
    /// PEM file of the coordinator's CA; then no other roots are trusted. A fleet's own CA is keys/ca.pem in the
    /// coordinator's data directory.
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
}

fn door(context: &Context) -> Door {
    if context.operator { Door::Operator } else { Door::Console }
}

pub(super) async fn login(context: &Context, args: Login) -> Result<()> {
    let origin = Origin::parse(&args.url)?;
    let whole = |path: PathBuf| {
        std::fs::canonicalize(&path).map_err(|error| Error::client(format!("--ca {}: {error}", path.display())))
    };
    let ca = args.ca.map(whole).transpose()?;
    let password = if std::io::stdin().is_terminal() {
        // A terminal would show what is typed, and wait for the end of a file that nobody has.
        crate::session::tty::ask_hidden(&format!("Password of {}: ", args.username))?
    } else if args.password_stdin {
        let mut text = String::new();
        std::io::stdin().read_to_string(&mut text)?;
        text.strip_suffix('\n').map_or(text.clone(), |line| line.strip_suffix('\r').unwrap_or(line).to_owned())
    } else {
        return Err(Error::client("the password comes from stdin: add --password-stdin"));
    };
    let body = json!({"username": args.username, "password": password, "session": "bearer"});
    let answer = anonymous(&origin, ca.as_deref(), "/api/v1/auth/personal/login", &body).await?;
    let login = profile::Login { url: origin.url(), ca, username: args.username, ..profile::Login::default() };
    let login = with_tokens(login, &answer)?;
    let said = format!("{} is signed in at {}", login.username, login.url);
    let locked = context.profile.lock()?;
    let mut logins = locked.load()?;
    *logins.at_mut(door(context)) = Some(login);
    locked.save(&logins)?;
    eprintln!("{said}");
    Ok(())
}

pub(super) async fn logout(context: &Context) -> Result<()> {
    let stored = context.profile.load()?;
    // Without --operator both sign-ins of the profile end.
    let doors: &[Door] = if context.operator { &[Door::Operator] } else { &[Door::Console, Door::Operator] };
    let mut said = false;
    for door in doors.iter().copied().filter(|door| stored.at(*door).is_some()) {
        said = true;
        let told = match crate::api::Client::open(&context.profile, door) {
            Ok(mut client) => client.post("/api/v1/auth/logout", &json!({})).await,
            Err(error) => Err(error),
        };
        let locked = context.profile.lock()?;
        let mut logins = locked.load()?;
        let login = logins.at_mut(door).take();
        locked.save(&logins)?;
        let name = login.map(|login| format!("{} at {}", login.username, login.url)).unwrap_or_default();
        match told {
            Err(error) if error.exit_code() != crate::error::exit::AUTH => {
                eprintln!("forgot {name}, but the coordinator could not be told: {error}");
            }
            _ => eprintln!("signed out {name}"),
        }
    }
    if !said {
        eprintln!("nobody was signed in");
    }
    Ok(())
}

pub(super) async fn whoami(context: &Context) -> Result<()> {
    if context.json {
        let mut client = context.either()?;
        return output::json(&client.get("/api/v1/me").await?);
    }
    let mut first = None;
    let mut rows = Vec::new();
    for (door, name) in [(Door::Console, "console"), (Door::Operator, "operator")] {
        if context.operator && door == Door::Console {
            continue;
        }
        let client = crate::api::Client::open(&context.profile, door);
        let me = match client {
            Ok(mut client) => match client.get("/api/v1/me").await {
                Ok(me) => (me, client.login().url.clone()),
                Err(error) => {
                    first.get_or_insert(error);
                    continue;
                }
            },
            Err(error) => {
                first.get_or_insert(error);
                continue;
            }
        };
        let (me, url) = me;
        let user = if me["user"].is_object() { &me["user"] } else { &me };
        let name_of = |value: &Value| output::text(value, "username");
        let roles = if me["roles"].is_array() { output::text(&me, "roles") } else { output::text(user, "roles") };
        rows.push(vec![name.to_owned(), name_of(user), output::text(user, "id"), roles, url]);
    }
    match (rows.is_empty(), first) {
        (true, Some(error)) => Err(error),
        _ => output::table(&["door", "user", "id", "roles", "url"], rows, "nobody is signed in"),
    }
}

pub(super) async fn token(context: &Context) -> Result<()> {
    let bearer = context.either()?.bearer().await?;
    output::line(&bearer)
}
