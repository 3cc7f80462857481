//! Rooms through their doors: a coordinator inside the test's process, asked over HTTP.

mod agent;
mod browser;
mod deaths;
mod doors;
mod evidence;
mod fleet;
mod golden;
mod keyed;
mod launches;
mod means;
mod operations;
mod operators;
mod people;
mod prices;
mod projects;
mod roles;
mod slots;
mod stream;
mod tasks;
mod world;
