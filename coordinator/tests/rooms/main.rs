//! Rooms through their doors: a coordinator inside the test's process, asked over HTTP.

mod agent;
mod doors;
mod evidence;
mod golden;
mod fleet;
mod keyed;
mod people;
mod slots;
mod world;
