//! `muster-agent cell` as a process: real terminals, real pipes, real signals.

mod batch;
mod commands;
mod doors;
mod golden;
mod kit;
mod terminals;
