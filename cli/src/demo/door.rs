//! A door of the coordinator as the demo's operator or user.

use super::{
    children::Children,
    layout::{Layout, Login},
};
use crate::{
    api::{self, Client},
    error::Error,
    http::Origin,
    profile::{self, Door as Which, Logins, Profile},
};
use anyhow::{Context, Result, bail};
use serde_json::{Value, json};
use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

const READY_WITHIN: Duration = Duration::from_secs(60);
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// A door, and who goes through it.
#[derive(Debug)]
pub(super) struct Door {
    which: Which,
    origin: Origin,
    ca: Option<PathBuf>,
    login: Login,
    profile: Profile,
}

impl Door {
    pub(super) fn console(layout: &Layout) -> Result<Self> {
        Self::new(layout, Which::Console, &layout.console_url, &layout.user)
    }

    pub(super) fn operator(layout: &Layout) -> Result<Self> {
        Self::new(layout, Which::Operator, &layout.operator_url, &layout.operator)
    }

    fn new(layout: &Layout, which: Which, url: &str, login: &Login) -> Result<Self> {
        let name = if which == Which::Console { "user" } else { "operator" };
        Ok(Self {
            which,
            origin: Origin::parse(url)?,
            ca: layout.tls.then(|| layout.ca_file()),
            login: login.clone(),
            profile: Profile::in_dir(&layout.dir.join("profiles").join(name)),
        })
    }

    /// Waits until the door answers sign-ins, or one of the children has ended, and signs in.
    pub(super) async fn sign_in(&self, children: &mut Children) -> Result<Client> {
        let began = Instant::now();
        loop {
            match self.try_sign_in().await {
                Ok(client) => return Ok(client),
                Err(Error::Network(_)) if began.elapsed() < READY_WITHIN => children.check()?,
                Err(error) => return Err(error).with_context(|| format!("sign-in of {}", self.login.username)),
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    async fn try_sign_in(&self) -> Result<Client, Error> {
        if self.ca.as_ref().is_some_and(|ca| !ca.exists()) {
            return Err(Error::Network("the coordinator has made no CA yet".into()));
        }
        let body = json!({"username": self.login.username, "password": self.login.password, "session": "bearer"});
        let answer = api::anonymous(&self.origin, self.ca.as_deref(), "/api/v1/auth/personal/login", &body).await?;
        let (url, username) = (self.origin.url(), self.login.username.clone());
        let login = profile::Login { url, ca: self.ca.clone(), username, ..profile::Login::default() };
        let mut logins = Logins::default();
        *logins.at_mut(self.which) = Some(api::with_tokens(login, &answer)?);
        self.profile.lock()?.save(&logins)?;
        Client::open(&self.profile, self.which)
    }

    /// Makes the account of this door's person, unless there is one.
    pub(super) async fn sign_up(&self) -> Result<()> {
        let Login { username, password } = &self.login;
        let body = json!({"username": username, "email": format!("{username}@example.test"), "password": password});
        match api::anonymous(&self.origin, self.ca.as_deref(), "/api/v1/auth/personal/signup", &body).await {
            Ok(_) => Ok(()),
            Err(Error::Api(problem)) if problem.status == 409 => Ok(()),
            Err(error) => bail!("sign-up of {username}: {error}"),
        }
    }
}

/// Items of a list document.
pub(super) fn items(list: &Value) -> &[Value] {
    list["items"].as_array().map_or(&[], Vec::as_slice)
}
