//! `muster-agent cell` as a process: real terminals, real pipes, real signals.

mod batch;
mod commands;
mod doors;
mod kit;
mod terminals;
