//! Rooms through their doors: a coordinator inside the test's process, asked over HTTP.

mod evidence;
mod keyed;
mod people;
mod world;
