//! Instructions of this very program, as callgrind counts them.

use std::path::Path;
use std::process::Command;

/// Instructions that this program with `args` takes in the functions whose names match `toggle`;
/// `None` without valgrind.
///
/// # Panics
/// When the program fails.
pub(crate) fn instructions(toggle: &str, args: &[&str]) -> Option<f64> {
    count(toggle, args, Path::new("/dev/null"))
}

/// The same, as callgrind writes it: by source file and line.
///
/// # Panics
/// When the program fails, or its profile cannot be read.
#[allow(dead_code)]
pub(crate) fn profile(toggle: &str, args: &[&str]) -> Option<String> {
    let name = format!("simoom-{}.callgrind", std::process::id());
    let file = std::env::temp_dir().join(name);
    count(toggle, args, &file)?;
    let profile = std::fs::read_to_string(&file).expect("a profile");
    std::fs::remove_file(&file).expect("a file of ours");
    Some(profile)
}

fn count(toggle: &str, args: &[&str], file: &Path) -> Option<f64> {
    let program = std::env::current_exe().expect("this very program");
    let output = Command::new("valgrind")
        .env("GLIBC_TUNABLES", NO_REP_MOVSB)
        .arg("--tool=callgrind")
        .arg(format!("--callgrind-out-file={}", file.display()))
        .arg(format!("--toggle-collect={toggle}"))
        .arg(program)
        .args(args)
        .output()
        .ok()?;
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    let (_, collected) = said.split_once("Collected : ").expect("a sum");
    let number = collected.split_whitespace().next().expect("a number");
    Some(number.parse().expect("a number"))
}

/// Callgrind counts `rep movsb` once a byte, which no processor does.
const NO_REP_MOVSB: &str = "glibc.cpu.x86_rep_movsb_threshold=0x7fffffffffffffff";
