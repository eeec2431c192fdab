//! Our own test binary has symbols too.

use super::{Symbols, backtrace_line};
use addr2line::Loader;

#[test]
fn only_a_backtrace_line_has_an_address() {
    assert_eq!(backtrace_line("  #0 0x200010"), Some((0, 0x20_0010)));
    assert_eq!(
        backtrace_line("  #12 0xdeadbeef more"),
        Some((12, 0xdead_beef))
    );
    for line in [
        "#0 0x1",
        "  #x 0x1",
        "  #0 200010",
        "  #0",
        "",
        "  #0 0x10000000000000000",
    ] {
        assert_eq!(backtrace_line(line), None, "{line}");
    }
}

#[test]
fn an_address_gets_function_file_and_line() {
    let own = std::env::current_exe().expect("we run");
    // Where the function lies is in the symbol table, under a mangled name.
    let loader = Loader::new(&own).expect("our own symbols");
    let text = loader.get_section_range(b".text").expect("code");
    let ours = "simoom_qemu::symbols::backtrace_line";
    let is_ours = |name: &str| addr2line::demangle_auto(name.into(), None) == ours;
    let addr = (text.begin..text.end)
        .step_by(16)
        .find(|addr| loader.find_symbol(*addr).is_some_and(is_ours))
        .expect("a function of ours");
    let shown = Symbols::new(own).annotate(&format!("  #0 {addr:#x}"));
    assert!(shown.contains(ours), "{shown}");
    assert!(shown.contains("qemu/src/symbols.rs:"), "{shown}");
}

#[test]
fn an_address_outside_stays_as_it_was() {
    let own = std::env::current_exe().expect("we run");
    assert_eq!(Symbols::new(own).annotate("  #1 0x1"), "  #1 0x1");
    let lost = Symbols::new("/nonexistent".into());
    assert_eq!(lost.annotate("  #1 0x200010"), "  #1 0x200010");
}
