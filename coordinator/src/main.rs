//! `muster-coordinator`: arguments, logging, configuration, build, bind, announce, wait, drain.

fn main() {}
