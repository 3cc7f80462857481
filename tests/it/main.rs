//! Tests through the public doors: one file a room, one file a journey of a person.

mod bad_input;
mod cell;
mod doors;
mod flow_enrol;
mod flow_launch;
mod flow_ssh;
mod flow_terminal;
mod gpus;
mod races;
mod release;
mod tidy;
