//! The commands: one file a noun.

mod allocations;
mod attention;
mod audit;
mod completions;
mod keys;
mod launch;
mod login;
mod logs;
mod nodes;
mod operations;
mod projects;
mod skus;
mod slots;
mod tokens;

use crate::{
    api::Client,
    error::{Error, Result, exit},
    profile::{Door, Profile},
    session,
};
use clap::{Parser, Subcommand};

/// Muster: GPU machines from one command line.
///
/// Sign in with `muster login`, see what there is with `muster skus list`, take it with
/// `muster launch --sku NAME --wait`, and work in it with `muster terminal` or `muster ssh`.
#[derive(Debug, Parser)]
#[command(name = "muster", version, arg_required_else_help = true, after_help = AFTER)]
pub struct Muster {
    /// Print the API's own JSON document.
    #[arg(long, global = true)]
    pub json: bool,
    /// Speak to the operator door where a command could speak to either.
    #[arg(long, global = true)]
    pub operator: bool,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

const AFTER: &str = "\
Exit codes: 0 done, 1 usage or this machine, 2 coordinator or network, 3 not signed in or not allowed, 4 not found,
5 conflict. `terminal`, `exec` and `ssh` end with the remote command's code, and with 255 when they fail themselves.
MUSTER_CONFIG_DIR names the folder of the sign-ins (default ~/.config/muster).";

/// Every command.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Sign in at a door of the coordinator.
    Login(login::Login),
    /// End the sign-in.
    Logout,
    /// Say who is signed in where.
    Whoami,
    /// Print the bearer, for other programs.
    Token,
    /// What needs an operator, worst first (operators).
    Attention(attention::Attention),
    /// Machines (operators).
    #[command(subcommand)]
    Nodes(nodes::Nodes),
    /// Bootstrap tokens, which let a new machine in (operators).
    #[command(subcommand)]
    Tokens(tokens::Tokens),
    /// Schedulable parts of machines (operators).
    #[command(subcommand)]
    Slots(slots::Slots),
    /// What can be launched.
    #[command(subcommand)]
    Skus(skus::Skus),
    /// What owns workloads.
    #[command(subcommand)]
    Projects(projects::Projects),
    /// Own public SSH keys.
    #[command(subcommand)]
    Keys(keys::Keys),
    /// Take machines: an allocation to log in to, or a command that runs by itself.
    Launch(launch::Launch),
    /// What was launched.
    #[command(subcommand)]
    Allocations(allocations::Allocations),
    /// Open a terminal in an allocation; `~.` after a newline detaches.
    Terminal(session::terminal::Terminal),
    /// Run a command in an allocation, with its own stdin, stdout, stderr and exit code.
    Exec(session::exec::Exec),
    /// Show the output of an allocation's own command, as it wrote it: that is no document, so --json is refused.
    Logs(logs::Logs),
    /// Log in by SSH, through the coordinator.
    Ssh(session::ssh::Ssh),
    /// Give an allocation back.
    Release(allocations::Release),
    /// Everything that takes time.
    #[command(subcommand)]
    Operations(operations::Operations),
    /// The audit trail (operators).
    #[command(subcommand)]
    Audit(audit::Audit),
    /// Run a whole Muster on this machine, with simulated GPUs; see `muster demo --help`.
    Demo,
    /// Print completions for a shell.
    Completions(completions::Completions),
}

/// What every command gets.
#[derive(Debug)]
pub struct Context {
    /// Where sign-ins are kept.
    pub profile: Profile,
    /// Print documents instead of tables.
    pub json: bool,
    /// `--operator` was given.
    pub operator: bool,
}

impl Context {
    /// From the global arguments and the environment.
    ///
    /// # Errors
    /// If there is no place for the configuration.
    pub fn new(muster: &Muster) -> Result<Self> {
        Ok(Self { profile: Profile::from_env()?, json: muster.json, operator: muster.operator })
    }

    /// The signed-in user's client.
    ///
    /// # Errors
    /// [`Error::Auth`] if nobody is signed in.
    pub fn user(&self) -> Result<Client> {
        Client::open(&self.profile, Door::Console)
    }

    /// The signed-in operator's client.
    ///
    /// # Errors
    /// [`Error::Auth`] if no operator is signed in.
    pub fn staff(&self) -> Result<Client> {
        Client::open(&self.profile, Door::Operator)
    }

    /// The client for what both doors serve: the one asked for, else the user's, else the operator's.
    ///
    /// # Errors
    /// [`Error::Auth`] if nobody is signed in.
    pub fn either(&self) -> Result<Client> {
        if self.operator {
            return self.staff();
        }
        match self.user() {
            Err(Error::Auth(said)) => self.staff().map_err(|_| Error::Auth(said)),
            other => other,
        }
    }
}

/// Runs one command.
///
/// # Errors
/// Whatever ended it early.
pub async fn run(context: &Context, command: Command) -> Result<()> {
    match command {
        Command::Login(args) => login::login(context, args).await,
        Command::Logout => login::logout(context).await,
        Command::Whoami => login::whoami(context).await,
        Command::Token => login::token(context).await,
        Command::Attention(args) => attention::run(context, args).await,
        Command::Nodes(command) => nodes::run(context, command).await,
        Command::Tokens(command) => tokens::run(context, command).await,
        Command::Slots(command) => slots::run(context, command).await,
        Command::Skus(command) => skus::run(context, command).await,
        Command::Projects(command) => projects::run(context, command).await,
        Command::Keys(command) => keys::run(context, command).await,
        Command::Launch(args) => launch::run(context, args).await,
        Command::Allocations(command) => allocations::run(context, command).await,
        Command::Terminal(args) => own(session::terminal::run(context, args).await),
        Command::Exec(args) => own(session::exec::run(context, args).await),
        Command::Logs(args) => logs::run(context, args).await,
        Command::Ssh(args) => own(session::ssh::run(context, args).await),
        Command::Release(args) => allocations::release(context, args).await,
        Command::Operations(command) => operations::run(context, command).await,
        Command::Audit(command) => audit::run(context, command).await,
        Command::Demo => Err(Error::client("`demo` stands first: muster demo [OPTIONS]")),
        Command::Completions(args) => completions::run(&args),
    }
}

/// Commands whose code is the remote's say their own failures with 255.
fn own(done: Result<()>) -> Result<()> {
    done.map_err(|error| {
        error.report();
        match error {
            Error::Exit(code) => Error::Exit(code),
            _ => Error::Exit(exit::SESSION),
        }
    })
}
