//! The ledgers of the RFCs, `stack/tests/rfc.md` and `images/fileserver/tests/rfc.md`: each rule
//! that TCP/IP or HTTP must follow, where it is followed, and the test that shows it. A ledger that
//! nobody checks is a wish, so this does.
//!
//! ```text
//!   ## RFC 9293 ...
//!   | § | level | requirement | place | test |
//!   |---|---|---|---|---|
//!   | MUST-3 | MUST | ... | `tcp/mod.rs::parse` | `a_wrong_checksum` |
//!   | MUST-24 | MUST | ... | - | open: what is missing |
//!   | MUST-51 | MUST | ... | - | exception: why not |
//! ```
//!
//! A place is a file, or `file::item`, from `src` of the package or from the top. A test is a
//! function under `#[test]`, `file::name` where the name alone is not unique, a script of
//! `stack/tests/pkt`, or how a row of the table of requests beside the ledger begins,
//! `requests.txt 200 GET /...`. While a ledger has open rows they are counted, not refused.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;

use super::{assert_none, files, has_word, sources};

/// Where the ledgers lie, and from where each counts its places and tests.
const LEDGERS: [(&str, &str); 2] = [
    ("stack/tests/rfc.md", "stack/"),
    ("images/fileserver/tests/rfc.md", "images/fileserver/"),
];
/// A table of requests beside a ledger: a row of it is a test, too.
const REQUESTS: &str = "requests.txt";
/// Where scripts lie.
const SCRIPTS: &str = "stack/tests/pkt/";
/// What a rule may be. A `step` belongs to an algorithm of an RFC that has no key words there.
const LEVELS: [&str; 6] = ["MUST", "MUST NOT", "SHOULD", "SHOULD NOT", "MAY", "step"];
/// A reason is a sentence, not a word.
const REASON_LEN_MIN: usize = 8;

/// One row of a table.
struct Row<'a> {
    /// Line in the ledger, from 1.
    line: usize,
    rfc: &'a str,
    id: &'a str,
    level: &'a str,
    requirement: &'a str,
    place: &'a str,
    test: &'a str,
}

/// What a row's last column says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Tested,
    Exception,
    Open,
}

/// What the repository has.
struct Repo {
    /// Test functions, and the files that have one of the name.
    tests: BTreeMap<String, BTreeSet<String>>,
    files: BTreeSet<String>,
    sources: BTreeMap<String, String>,
    /// The folder of the package that the ledger is of.
    package: &'static str,
    /// Rows of the table of requests beside the ledger: verdict and request, one space between.
    requests: Vec<String>,
}

impl Repo {
    fn read(package: &'static str) -> Self {
        let table = super::root().join(package).join("tests").join(REQUESTS);
        let table = std::fs::read_to_string(table).unwrap_or_default();
        let rows = table.lines().filter(|line| !line.starts_with('#'));
        let pairs = rows.filter_map(|line| line.split_once(' '));
        let requests =
            pairs.map(|(verdict, request)| format!("{verdict} {}", request.trim_start()));
        let requests = requests.collect();
        let sources: BTreeMap<String, String> = sources().into_iter().collect();
        let mut tests = BTreeMap::<String, BTreeSet<String>>::new();
        for (file, text) in &sources {
            for name in test_names(text) {
                tests.entry(name).or_default().insert(file.clone());
            }
        }
        Self {
            tests,
            files: files().into_iter().collect(),
            sources,
            package,
            requests,
        }
    }

    /// The file that a place or a test names: from `src` of the package, from its folder, or from
    /// the top.
    fn file(&self, name: &str) -> Option<String> {
        let package = self.package;
        [format!("{package}src/"), package.to_owned(), String::new()]
            .iter()
            .map(|folder| format!("{folder}{name}"))
            .find(|name| self.files.contains(name))
    }

    /// Why a place does not exist.
    fn place(&self, place: &str) -> Result<(), String> {
        let (file, item) = match place.split_once("::") {
            Some((file, item)) => (file, Some(item)),
            None => (place, None),
        };
        let path = self.file(file).ok_or(format!("no file {file}"))?;
        let Some(item) = item else { return Ok(()) };
        let text = self.sources.get(&path).map_or("", String::as_str);
        let kinds = ["fn", "const", "static", "struct", "enum", "trait", "type"];
        let is_declared = |kind: &&str| has_word(text, &format!("{kind} {item}"));
        match kinds.iter().any(is_declared) {
            true => Ok(()),
            false => Err(format!("no {item} in {path}")),
        }
    }

    /// Why a test does not exist.
    fn test(&self, test: &str) -> Result<(), String> {
        if test.ends_with(".pkt") {
            let is_there = self.files.contains(&format!("{SCRIPTS}{test}"));
            return is_there
                .then_some(())
                .ok_or(format!("no script {SCRIPTS}{test}"));
        }
        if let Some(start) = test.strip_prefix(REQUESTS) {
            let start = start.trim_start();
            let is_there = self.requests.iter().any(|row| row.starts_with(start));
            return (is_there && !start.is_empty())
                .then_some(())
                .ok_or(format!("no row {start}"));
        }
        let (file, name) = match test.split_once("::") {
            Some((file, name)) => (Some(file), name),
            None => (None, test),
        };
        let places = self.tests.get(name).ok_or(format!("no test {name}"))?;
        match file {
            None if places.len() > 1 => Err(format!("test {name} is in more than one file")),
            None => Ok(()),
            Some(file) => {
                let path = self.file(file).ok_or(format!("no file {file}"))?;
                let is_there = places.contains(&path);
                is_there
                    .then_some(())
                    .ok_or(format!("no test {name} in {path}"))
            }
        }
    }
}

/// Functions under a `#[test]` of a source.
fn test_names(text: &str) -> Vec<String> {
    let mut names = Vec::new();
    let mut is_test = false;
    for line in text.lines().map(str::trim) {
        match line.strip_prefix("fn ") {
            _ if line == "#[test]" => is_test = true,
            Some(rest) if is_test => {
                names.extend(rest.split('(').next().map(str::to_owned));
                is_test = false;
            }
            // Another attribute, or a comment.
            None if line.starts_with('#') || line.starts_with("//") || line.is_empty() => {}
            _ => is_test = false,
        }
    }
    names
}

/// The rows of the ledger, and what is wrong with its form.
fn rows<'t>(ledger: &str, text: &'t str) -> (Vec<Row<'t>>, Vec<String>) {
    let (mut rows, mut complaints) = (Vec::new(), Vec::new());
    let mut rfc = "";
    for (line, text) in (1..).zip(text.lines()) {
        if let Some(title) = text.strip_prefix("## ") {
            rfc = title.split([':', ',']).next().unwrap_or(title);
        }
        if !text.starts_with('|') || text.starts_with("|---") || text.starts_with("| § ") {
            continue;
        }
        let cells = text.trim().trim_matches('|').split('|').map(str::trim);
        match cells.collect::<Vec<_>>()[..] {
            [id, level, requirement, place, test] if !rfc.is_empty() => rows.push(Row {
                line,
                rfc,
                id,
                level,
                requirement,
                place,
                test,
            }),
            _ => complaints.push(format!("{ledger}:{line}: not five columns below an RFC")),
        }
    }
    (rows, complaints)
}

/// Names in backticks.
fn names(cell: &str) -> Vec<&str> {
    cell.split('`').skip(1).step_by(2).collect()
}

/// What a row says, or what is wrong with it.
fn check(row: &Row<'_>, repo: &Repo) -> Result<State, String> {
    if row.id.is_empty() || row.requirement.is_empty() {
        return Err("no id or no requirement".to_owned());
    }
    if !LEVELS.contains(&row.level) {
        return Err(format!("no level: {:?}", row.level));
    }
    for place in names(row.place) {
        repo.place(place)?;
    }
    for (prefix, state) in [("open:", State::Open), ("exception:", State::Exception)] {
        if let Some(reason) = row.test.strip_prefix(prefix) {
            let is_said = reason.trim().len() >= REASON_LEN_MIN;
            return is_said.then_some(state).ok_or("no reason".to_owned());
        }
    }
    let tests = names(row.test);
    if !row.test.starts_with('`') || tests.is_empty() {
        return Err("neither a test, nor open, nor an exception".to_owned());
    }
    for test in tests {
        repo.test(test)?;
    }
    match names(row.place).is_empty() {
        true => Err("tested, but no place".to_owned()),
        false => Ok(State::Tested),
    }
}

#[test]
fn every_rule_of_the_ledger_has_a_live_test_or_a_reason() {
    for (ledger, package) in LEDGERS {
        check_ledger(ledger, &Repo::read(package));
    }
}

fn check_ledger(ledger: &str, repo: &Repo) {
    let text = std::fs::read_to_string(super::root().join(ledger)).expect("a ledger");
    let (rows, mut complaints) = rows(ledger, &text);
    let mut ids = BTreeSet::new();
    let mut states = Vec::new();
    for row in &rows {
        let at = format!("{ledger}:{}: {} {}", row.line, row.rfc, row.id);
        if !ids.insert((row.rfc, row.id)) {
            complaints.push(format!("{at}: the id is not the only one of its table"));
        }
        match check(row, repo) {
            Ok(state) => states.push(state),
            Err(why) => complaints.push(format!("{at}: {why}")),
        }
    }
    assert_none(&complaints);
    let count = |state| states.iter().filter(|it| **it == state).count();
    // Past the test harness, which hides what a test that succeeds prints.
    let _printed = writeln!(
        std::io::stderr(),
        "{ledger}: {} rows, {} tested, {} exceptions, {} open",
        rows.len(),
        count(State::Tested),
        count(State::Exception),
        count(State::Open)
    );
}

/// The checker on rows that are right, and on one of each kind of wrong.
#[test]
fn the_checker_of_the_ledger_sees_what_it_should() {
    let source = "#[test]\nfn alive() {\n}\n/// Doc.\n#[test]\n#[ignore]\nfn twice() {}\n\
                  fn no_test() {}\npub(crate) const ITEM: u8 = 1;\n";
    let places = |files: &[&str]| files.iter().map(|file| (*file).to_owned()).collect();
    let repo = Repo {
        tests: BTreeMap::from([
            ("alive".to_owned(), places(&["stack/src/tcp/a.rs"])),
            (
                "twice".to_owned(),
                places(&["stack/src/tcp/a.rs", "stack/tests/b.rs"]),
            ),
        ]),
        files: places(&[
            "stack/src/tcp/a.rs",
            "stack/tests/b.rs",
            "stack/tests/pkt/s--e.pkt",
        ]),
        sources: BTreeMap::from([("stack/src/tcp/a.rs".to_owned(), source.to_owned())]),
        package: "stack/",
        requests: vec!["200 GET / HTTP/1.1".to_owned()],
    };
    assert_eq!(test_names(source), ["alive", "twice"]);
    let verdict = |row: &str| {
        let text =
            format!("## RFC 1: one\n| § | level | a | b | c |\n|---|---|---|---|---|\n{row}\n");
        let (rows, complaints) = rows("a ledger", &text);
        match rows.first() {
            Some(row) => check(row, &repo).map_err(|_| "row"),
            None => Err(if complaints.is_empty() {
                "nothing"
            } else {
                "form"
            }),
        }
    };
    let good = [
        (
            "| 1 | MUST | a | `tcp/a.rs::no_test` | `alive` |",
            State::Tested,
        ),
        (
            "| 1 | MUST | a | `tcp/a.rs::ITEM` | `tcp/a.rs::twice`, `s--e.pkt` |",
            State::Tested,
        ),
        (
            "| 1 | MAY | a | `tests/b.rs` | `tests/b.rs::twice` |",
            State::Tested,
        ),
        (
            "| 1 | MUST | a | `tcp/a.rs` | `requests.txt 200 GET /` |",
            State::Tested,
        ),
        (
            "| 1 | MUST NOT | a | - | open: nobody has done it |",
            State::Open,
        ),
        (
            "| 1 | SHOULD | a | - | exception: nobody wants it |",
            State::Exception,
        ),
    ];
    for (row, state) in good {
        assert_eq!(verdict(row), Ok(state), "{row}");
    }
    let bad = [
        ("| 1 | MUST | a | `tcp/a.rs::no_test` | |", "row"),
        ("| 1 | MUST | a | `tcp/a.rs::no_test` | alive |", "row"),
        ("| 1 | MUST | a | `tcp/a.rs::no_test` | `no_test` |", "row"),
        ("| 1 | MUST | a | `tcp/a.rs::no_test` | `twice` |", "row"),
        (
            "| 1 | MUST | a | `tcp/a.rs::no_test` | `tests/b.rs::alive` |",
            "row",
        ),
        (
            "| 1 | MUST | a | `tcp/a.rs::no_test` | `no--such.pkt` |",
            "row",
        ),
        ("| 1 | MUST | a | `tcp/a.rs::no_tes` | `alive` |", "row"),
        ("| 1 | MUST | a | `tcp/z.rs` | `alive` |", "row"),
        ("| 1 | MUST | a | `tcp/a.rs` | `requests.txt` |", "row"),
        (
            "| 1 | MUST | a | `tcp/a.rs` | `requests.txt 404 GET /` |",
            "row",
        ),
        ("| 1 | MUST | a | - | `alive` |", "row"),
        ("| 1 | MUST | a | - | open: |", "row"),
        ("| 1 | MUST | a | - | exception: no |", "row"),
        ("| 1 | WILL | a | - | open: nobody has done it |", "row"),
        ("|  | MUST | a | - | open: nobody has done it |", "row"),
        ("| 1 | MUST | a | - |", "form"),
        (
            "| 1 | MUST | a | - | open: nobody has done it | more |",
            "form",
        ),
    ];
    for (row, expected) in bad {
        assert_eq!(verdict(row), Err(expected), "{row}");
    }
}
