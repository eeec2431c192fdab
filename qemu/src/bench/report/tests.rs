use super::*;

fn row(ours: f64, rival: Option<f64>, better: Better) -> Row {
    Row {
        suite: "linux",
        case: "clean".to_owned(),
        metric: "goodput".to_owned(),
        unit: "Mbit/s",
        ours: Sample::exact(ours),
        rival: rival.map(Sample::exact),
        rival_name: rival.map(|_| "linux reno"),
        is_rival: true,
        better,
        bar: None,
        at: Vec::new(),
    }
}

#[test]
fn the_median_is_one_of_the_values() {
    assert_eq!(median(&[3.0, 1.0, 2.0]), 2.0);
    assert_eq!(median(&[4.0, 1.0, 3.0, 2.0]), 2.0);
    assert_eq!(median(&[7.5]), 7.5);
}

#[test]
fn the_spread_is_half_of_what_lies_between_the_quartiles() {
    let sample = Sample::of(&[10.0, 12.0, 8.0, 100.0, 1.0]);
    assert_eq!(sample.median, 10.0);
    assert_eq!(sample.spread, 0.2);
    assert_eq!(Sample::exact(5.0).spread, 0.0);
}

#[test]
fn rounds_that_others_disturbed_do_not_count() {
    let mut times = vec![2_700.0; 60];
    times.extend([340.0, 350.0, 360.0, 370.0, 380.0]);
    assert_eq!(Sample::undisturbed(&times).median, 360.0);
    assert_eq!(Sample::undisturbed(&[5.0]).median, 5.0);
}

#[test]
fn a_ratio_above_one_says_that_ours_is_better() {
    assert_eq!(row(90.0, Some(60.0), Better::More).ratio(), Some(1.5));
    assert_eq!(row(60.0, Some(90.0), Better::Less).ratio(), Some(1.5));
    assert_eq!(row(60.0, None, Better::Less).ratio(), None);
    // Nothing is infinitely better.
    assert_eq!(row(0.0, Some(90.0), Better::Less).ratio(), None);
}

#[test]
fn json_has_the_fields_that_readers_know_and_no_other() {
    let rows = [
        row(90.0, Some(60.0), Better::More),
        row(90.0, None, Better::More),
    ];
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("rows.json");
    write_json(&rows, &file).unwrap();
    let text = fs::read_to_string(file).unwrap();
    let rows: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(rows[0]["rival_name"], "linux reno");
    assert_eq!(rows[0]["ratio"], 1.5);
    assert!(rows[1]["rival"].is_null() && rows[1]["ratio"].is_null());
    let keys: Vec<&String> = rows[0].as_object().unwrap().keys().collect();
    assert_eq!(keys, KEYS);
}
