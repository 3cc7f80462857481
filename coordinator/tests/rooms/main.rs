//! Rooms through their doors: a coordinator inside the test's process, asked over HTTP.

mod doors;
mod evidence;
mod keyed;
mod people;
mod world;
