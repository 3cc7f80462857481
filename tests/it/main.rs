//! Tests through the public doors: one file a room, one file a journey of a person.

mod allocations;
mod bad_input;
mod catalog;
mod cell;
mod doors;
mod flow_enrol;
mod flow_launch;
mod flow_ssh;
mod flow_terminal;
mod gpus;
mod operations;
mod races;
mod release;
mod scheduler;
mod tidy;
