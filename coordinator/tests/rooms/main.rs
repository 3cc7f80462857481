//! Rooms through their doors: a coordinator inside the test's process, asked over HTTP.

mod agent;
mod doors;
mod evidence;
mod fleet;
mod golden;
mod keyed;
mod people;
mod slots;
mod world;
