//! The rules that a reader of this repository may rely on, checked on every file that git knows.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

mod ledger;

/// Longest line, characters.
const LINE_LEN_MAX: usize = 100;
/// Longest source file without tests, lines.
const FILE_LINES_MAX: usize = 500;
/// Longest function, lines from its first to its closing brace.
const FN_LINES_MAX: usize = 70;
/// Longest README, lines.
const README_LINES_MAX: usize = 165;

/// Files that were longer when the ratchet was set, with their length; it only goes down.
const LONG_FILES: [(&str, usize); 0] = [];
/// Functions that were longer: file, name, length. A long match that mirrors a section of an RFC.
const LONG_FNS: [(&str, &str, usize); 0] = [];

/// Where `unsafe` may be written.
const UNSAFE_FOLDERS: [&str; 4] = [
    "drivers/ring",
    "drivers/virtio-net",
    "drivers/netmap",
    "platform",
];
/// Packages that must not name `std` outside tests.
const NO_STD_FOLDERS: [&str; 5] = [
    "stack/src",
    "drivers/capture/src",
    "drivers/ring/src",
    "drivers/virtio-net/src",
    "drivers/netmap/src",
];
/// But for what they have behind a feature, for hosts alone.
const STD_MODULES: [&str; 1] = ["drivers/netmap/src/hosts"];
/// What may lie at the top.
const TOP_LEVEL: [&str; 14] = [
    ".ci",
    ".gitignore",
    "Cargo.lock",
    "Cargo.toml",
    "LICENSE-APACHE",
    "LICENSE-MIT",
    "README.md",
    "drivers",
    "fuzz",
    "images",
    "platform",
    "qemu",
    "rustfmt.toml",
    "stack",
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("inside the workspace")
        .to_owned()
}

/// Every file that git tracks, or would with the next commit, with its path from the top.
fn files() -> Vec<String> {
    let out = Command::new("git")
        .args([
            "ls-files",
            "--cached",
            "--others",
            "--exclude-standard",
            "-z",
        ])
        .current_dir(root())
        .output()
        .expect("git runs");
    assert!(out.status.success(), "git ls-files failed");
    let names = String::from_utf8(out.stdout).expect("names are UTF-8");
    let exists = |name: &&str| !name.is_empty() && root().join(name).is_file();
    names
        .split('\0')
        .filter(exists)
        .map(str::to_owned)
        .collect()
}

/// Rust sources with their text.
fn sources() -> Vec<(String, String)> {
    files()
        .into_iter()
        .filter(|name| name.ends_with(".rs"))
        .map(|name| {
            let text = fs::read_to_string(root().join(&name)).expect("sources are UTF-8");
            (name, text)
        })
        .collect()
}

fn is_test(name: &str) -> bool {
    name.ends_with("tests.rs")
        || name.ends_with("testing.rs")
        || name.contains("/tests/")
        || name.contains("/benches/")
}

/// A source without the tests that stand in it: they come last.
fn without_tests(text: &str) -> &str {
    let tests = text.find("#[cfg(test)]\nmod tests {");
    tests.map_or(text, |at| &text[..at])
}

/// Fails with every complaint at once.
fn assert_none(complaints: &[String]) {
    assert!(complaints.is_empty(), "\n{}", complaints.join("\n"));
}

/// A line without what stands in strings and behind `//`: enough for the rules here.
fn code(line: &str) -> String {
    let mut out = String::new();
    let mut chars = line.chars().peekable();
    let mut is_string = false;
    while let Some(c) = chars.next() {
        match c {
            '\\' if is_string => drop(chars.next()),
            '"' => is_string = !is_string,
            '\'' if !is_string && chars.peek() == Some(&'"') => drop(chars.next()),
            '/' if !is_string && chars.peek() == Some(&'/') => break,
            _ if !is_string => out.push(c),
            _ => {}
        }
    }
    out
}

/// Whether `word` stands in `text` as a word of its own.
fn has_word(text: &str, word: &str) -> bool {
    let is_part = |c: char| c.is_alphanumeric() || c == '_';
    text.match_indices(word).any(|(at, _)| {
        !text[..at].ends_with(is_part) && !text[at + word.len()..].starts_with(is_part)
    })
}

#[test]
fn lines_have_at_most_100_columns() {
    let mut complaints = Vec::new();
    for (name, text) in sources() {
        for (number, line) in text.lines().enumerate() {
            let len = line.chars().count();
            if len > LINE_LEN_MAX {
                complaints.push(format!("{name}:{}: {len} columns", number + 1));
            }
        }
    }
    assert_none(&complaints);
}

#[test]
fn files_have_at_most_500_lines() {
    let mut complaints = Vec::new();
    for (name, text) in sources().iter().filter(|(name, _)| !is_test(name)) {
        let known = LONG_FILES.iter().find(|(known, _)| known == name);
        let most = known.map_or(FILE_LINES_MAX, |(_, lines)| *lines);
        let lines = without_tests(text).lines().count();
        if lines > most {
            complaints.push(format!("{name}: {lines} lines, at most {most}"));
        }
    }
    assert_none(&complaints);
}

/// Functions of a source: name, and lines from `fn` to the closing brace at the same depth.
fn functions(text: &str) -> Vec<(String, usize)> {
    let lines: Vec<&str> = text.lines().collect();
    let mut found = Vec::new();
    for (start, line) in lines.iter().enumerate() {
        let bare = code(line);
        let Some((before, after)) = bare.split_once("fn ") else {
            continue;
        };
        let is_declaration = before.split_whitespace().all(|word| {
            word.starts_with("pub")
                || ["const", "unsafe", "extern", "in", "async"].contains(&word)
                || word.ends_with(')')
        });
        if !is_declaration {
            continue;
        }
        let indent = line.len() - line.trim_start().len();
        let closing = format!("{}}}", " ".repeat(indent));
        let is_whole = code(line).trim_end().ends_with('}');
        let end = lines[start..]
            .iter()
            .position(|line| line.starts_with(&closing));
        if let (false, Some(end)) = (is_whole, end) {
            let name = after
                .split(['(', '<'])
                .next()
                .unwrap_or_default()
                .to_owned();
            let is_bodiless = lines[start..start + end].iter().any(|line| {
                code(line).trim_end().ends_with(");")
                    && line.len() - line.trim_start().len() == indent
            });
            if !is_bodiless {
                found.push((name, end + 1));
            }
        }
    }
    found
}

#[test]
fn functions_have_at_most_70_lines() {
    let mut complaints = Vec::new();
    for (name, text) in sources().iter().filter(|(name, _)| !is_test(name)) {
        for (function, lines) in functions(without_tests(text)) {
            let known = LONG_FNS
                .iter()
                .find(|(file, known, _)| file == name && *known == function);
            let most = known.map_or(FN_LINES_MAX, |(_, _, lines)| *lines);
            if lines > most {
                complaints.push(format!(
                    "{name}: fn {function}: {lines} lines, at most {most}"
                ));
            }
        }
    }
    assert_none(&complaints);
}

#[test]
fn unsafe_is_only_where_it_is_allowed() {
    let mut complaints = Vec::new();
    for (name, text) in sources() {
        if UNSAFE_FOLDERS
            .iter()
            .any(|folder| name.starts_with(&format!("{folder}/")))
        {
            continue;
        }
        for (number, line) in text.lines().enumerate() {
            let bare = code(line);
            // The entry symbol of an image is an attribute, not an operation.
            let bare = bare
                .replace("#[unsafe(no_mangle)]", "")
                .replace("#![forbid(unsafe_code)]", "");
            if has_word(&bare, "unsafe") {
                complaints.push(format!("{name}:{}: unsafe", number + 1));
            }
        }
    }
    assert_none(&complaints);
}

#[test]
fn the_stack_forbids_unsafe_code() {
    let text = fs::read_to_string(root().join("stack/src/lib.rs")).expect("the stack");
    assert!(text.contains("#![forbid(unsafe_code)]"));
}

#[test]
fn std_is_only_in_host_crates() {
    let mut complaints = Vec::new();
    for (name, text) in sources().iter().filter(|(name, _)| !is_test(name)) {
        let is_in = |folders: &[&str]| folders.iter().any(|folder| name.starts_with(folder));
        if !is_in(&NO_STD_FOLDERS) || is_in(&STD_MODULES) {
            continue;
        }
        for (number, line) in without_tests(text).lines().enumerate() {
            let bare = code(line);
            if bare.contains("std::") && has_word(&bare, "std") {
                complaints.push(format!("{name}:{}: std", number + 1));
            }
        }
    }
    assert_none(&complaints);
}

#[test]
fn there_are_no_banned_words() {
    // Taken apart, so that this file has none of them.
    let banned = [
        ["FIX", "ME"],
        ["dbg", "!"],
        ["to", "do!"],
        ["unimple", "mented!"],
    ]
    .map(|word| word.concat());
    let mut complaints = Vec::new();
    for (name, text) in sources() {
        for (number, line) in text.lines().enumerate() {
            for word in banned.iter().filter(|word| line.contains(word.as_str())) {
                complaints.push(format!("{name}:{}: {word}", number + 1));
            }
        }
    }
    assert_none(&complaints);
}

/// Module names that a source declares in files of their own.
fn modules(text: &str) -> Vec<String> {
    text.lines()
        .filter_map(|line| {
            let bare = code(line);
            let words: Vec<&str> = bare.trim().strip_suffix(';')?.split_whitespace().collect();
            let at = words.iter().position(|word| *word == "mod")?;
            let is_plain = words[..at]
                .iter()
                .all(|word| word.starts_with("pub") || word.ends_with(')'));
            (is_plain && words.len() == at + 2).then(|| words[at + 1].to_owned())
        })
        .collect()
}

/// Follows `mod` lines from a crate's root.
fn reach(file: &Path, folder: &Path, reached: &mut BTreeSet<PathBuf>) {
    let Ok(text) = fs::read_to_string(file) else {
        return;
    };
    if !reached.insert(file.to_owned()) {
        return;
    }
    for module in modules(&text) {
        for path in [
            folder.join(format!("{module}.rs")),
            folder.join(&module).join("mod.rs"),
        ] {
            reach(&path, &folder.join(&module), reached);
        }
    }
}

/// Whether a path is where cargo finds a crate's root by itself.
fn is_crate_root(name: &str) -> bool {
    let parts: Vec<&str> = name.rsplit('/').collect();
    match parts[..] {
        ["build.rs", ..] => true,
        ["main.rs" | "lib.rs", "src", ..] => true,
        [
            _,
            "tests" | "benches" | "examples" | "fuzz_targets",
            package,
            ..,
        ] => package != "src",
        ["main.rs", _, "tests" | "benches" | "examples", ..] => true,
        ["main.rs", _, "bin", ..] | [_, "bin", "src", ..] => true,
        _ => false,
    }
}

#[test]
fn every_source_is_reachable_from_a_mod() {
    let mut reached = BTreeSet::new();
    let sources = sources();
    let is_root = |name: &str| {
        let file = root().join(name);
        // `tests/` of a package, not of a module: it lies beside a Cargo.toml.
        // A test of several files has a folder in it.
        let mut folders = file.ancestors().skip(2).take(2);
        let has_manifest = folders.any(|folder| folder.join("Cargo.toml").is_file());
        is_crate_root(name)
            && (has_manifest || name.ends_with("build.rs") || name.contains("/bin/"))
    };
    for (name, _) in sources.iter().filter(|(name, _)| is_root(name)) {
        let file = root().join(name);
        let folder = file.parent().expect("in a folder").to_owned();
        reach(&file, &folder, &mut reached);
    }
    let lost: Vec<String> = sources
        .iter()
        .filter(|(name, _)| !reached.contains(&root().join(name)))
        .map(|(name, _)| format!("{name}: no `mod` leads here"))
        .collect();
    assert_none(&lost);
}

#[test]
fn the_top_level_is_as_designed() {
    let strangers: BTreeSet<String> = files()
        .iter()
        .filter_map(|name| name.split('/').next())
        .filter(|name| !TOP_LEVEL.contains(name))
        .map(|name| format!("{name}: not a name of the layout"))
        .collect();
    assert_none(&strangers.into_iter().collect::<Vec<_>>());
}

#[test]
fn the_readme_is_short() {
    let text = fs::read_to_string(root().join("README.md")).expect("a README");
    let lines = text.lines().count();
    assert!(
        lines <= README_LINES_MAX,
        "README.md: {lines} lines, at most {README_LINES_MAX}"
    );
}

#[test]
fn the_rules_see_what_they_should() {
    assert_eq!(
        code("let a = \"unsafe // x\"; // unsafe").trim_end(),
        "let a = ;"
    );
    assert!(has_word("unsafe {", "unsafe") && !has_word("unsafe_code", "unsafe"));
    let text = "fn a() {\n    b;\n}\n    pub(crate) fn c(\n    ) {\n    }\nfn d();\n// fn e\n";
    assert_eq!(functions(text), [("a".to_owned(), 3), ("c".to_owned(), 3)]);
    let text = "mod a;\npub(crate) mod b;\nmod c {\n#[cfg(test)]\nmod tests;\n";
    assert_eq!(modules(text), ["a", "b", "tests"]);
}

/// A reason to drop a packet that no test has seen is a guess.
#[test]
fn every_drop_reason_is_named_by_a_test() {
    let text = |name: &str| fs::read_to_string(root().join(name)).unwrap_or_default();
    let counters = text("stack/src/counters.rs");
    let reasons = counters.lines().filter_map(|line| {
        let (name, text) = line.trim().split_once(" = ")?;
        let is_reason = text.starts_with('"') && name.chars().all(char::is_alphanumeric);
        is_reason.then_some(name)
    });
    let tests: String = files()
        .iter()
        .filter(|name| name.starts_with("stack/") && name.contains("tests"))
        .map(|name| text(name))
        .collect();
    let reasons: Vec<&str> = reasons.collect();
    assert!(
        reasons.len() > 20,
        "the list is where this test looks for it"
    );
    let unseen: Vec<String> = reasons
        .iter()
        .filter(|name| !tests.contains(&format!("DropReason::{name}")))
        .map(|name| format!("{name}: no test names it"))
        .collect();
    assert_none(&unseen);
}
