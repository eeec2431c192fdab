use super::*;
use crate::bench::report::{At, Better, Sample};

fn row(x: f64, ours: f64, rival: Option<f64>) -> Row {
    Row {
        suite: "stack",
        case: "1 KB kept".to_owned(),
        metric: "time a request".to_owned(),
        unit: "ns",
        ours: Sample::exact(ours),
        rival: rival.map(Sample::exact),
        rival_name: rival.map(|_| "a <rival> & co"),
        is_rival: true,
        better: Better::Less,
        bar: None,
        at: vec![At {
            axis: Axis::Size,
            x,
            chart: "",
            line: "kept".to_owned(),
        }],
    }
}

#[test]
fn a_plot_is_well_formed_and_names_its_lines() {
    let rows = [
        row(100.0, 350.0, Some(200.0)),
        row(1_024.0, 360.0, Some(260.0)),
        row(1_048_576.0, 150_000.0, None),
    ];
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(draw(&rows, folder.path()).unwrap(), 1);
    let file = folder.path().join("stack-time-a-request-by-size.svg");
    let text = fs::read_to_string(file).unwrap();
    let document = roxmltree::Document::parse(&text).unwrap();
    let words: Vec<&str> = document
        .descendants()
        .filter_map(|node| node.text())
        .collect();
    let has = |part: &str| words.iter().any(|word| word.contains(part));
    assert!(
        has("ours, kept") && has("a <rival> & co, kept"),
        "{words:?}"
    );
    assert!(has("1 MB") || has("KB"), "{words:?}");
}

#[test]
fn nothing_to_draw_is_no_error() {
    let folder = tempfile::tempdir().unwrap();
    let mut bare = row(1.0, 1.0, None);
    bare.at.clear();
    assert_eq!(draw(&[bare], folder.path()).unwrap(), 0);
}
