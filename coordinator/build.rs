//! Lets the pages be embedded whether they were built or not, and embeds them again when they changed.
//!
//! Node never runs from here: `make` and `npm run build` fill the folders.

use std::path::Path;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let dist = Path::new("../console/dist");
    for door in ["console", "operator"] {
        // A folder that is there can be read at run time by a debug build, whenever it is filled. In a tree
        // that cannot be written to, the coordinator is built without pages.
        let _ = std::fs::create_dir_all(dist.join(door));
        if std::env::var("PROFILE").as_deref() == Ok("release") {
            println!("cargo::rerun-if-changed=../console/dist/{door}");
        }
    }
}
