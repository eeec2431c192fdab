//! Publishes what the link of an image needs, as metadata of `links = "simoom-platform"`.
//!
//! Nothing is applied to this crate itself: it stays an ordinary library for host builds. An image
//! repeats the arguments for its own binary:
//!
//! ```ignore
//! for arg in std::env::var("DEP_SIMOOM_PLATFORM_LINK_ARGS").unwrap().split(' ') { .. }
//! ```

use std::env;

fn main() {
    let root = env::var("CARGO_MANIFEST_DIR").expect("cargo sets CARGO_MANIFEST_DIR");
    let mut link_args = vec![
        "-nostartfiles".to_string(),
        "-nostdlib".to_string(),
        "-static".to_string(),
        "-no-pie".to_string(),
        "-Wl,--build-id=none".to_string(),
        "-Wl,-z,max-page-size=0x1000".to_string(),
        "-Wl,--gc-sections".to_string(),
        format!("-Wl,-T,{root}/link.ld"),
    ];
    // Without this script defmt links silently and every frame is malformed. It must follow ours.
    if env::var_os("CARGO_FEATURE_DEFMT").is_some() {
        link_args.push("-Wl,-Tdefmt.x".to_string());
    }
    // One line of metadata: a space cannot stand in an argument, a path with one is refused here.
    assert!(
        !root.contains(char::is_whitespace),
        "the path of the sources holds white space, which the link arguments cannot carry: {root}"
    );
    println!("cargo::metadata=link_args={}", link_args.join(" "));
    println!("cargo::metadata=asm={root}/asm");
    println!("cargo::metadata=link_script={root}/link.ld");
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=link.ld");
}
