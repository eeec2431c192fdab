//! Gives an image its link arguments and its entry stub. An image's binary has its package's name.

fn main() {
    let told = |key: &str| std::env::var(key).expect("simoom-platform's build script tells");
    let bin = env!("CARGO_PKG_NAME");
    for arg in told("DEP_SIMOOM_PLATFORM_LINK_ARGS").split(' ') {
        println!("cargo::rustc-link-arg-bin={bin}={arg}");
    }
    println!(
        "cargo::rustc-env=SIMOOM_ASM={}",
        told("DEP_SIMOOM_PLATFORM_ASM")
    );
    println!(
        "cargo::rerun-if-changed={}",
        told("DEP_SIMOOM_PLATFORM_LINK_SCRIPT")
    );
}
