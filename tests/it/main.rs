//! Tests through the public doors: one file a room, one file a journey of a person.

mod access;
mod allocations;
mod audit;
mod bad_input;
mod catalog;
mod cell;
mod crashes;
mod doors;
mod enrolment;
mod flow_enrol;
mod flow_launch;
mod flow_ssh;
mod flow_terminal;
mod gpus;
mod nodes;
mod operations;
mod projects;
mod races;
mod release;
mod scheduler;
mod slots;
mod telemetry;
mod terminals;
mod tidy;
mod users;
