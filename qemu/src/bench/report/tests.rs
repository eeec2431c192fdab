use super::*;

#[test]
fn the_median_is_one_of_the_values() {
    assert_eq!(median(&[3.0, 1.0, 2.0]), 2.0);
    assert_eq!(median(&[4.0, 1.0, 3.0, 2.0]), 2.0);
    assert_eq!(median(&[7.5]), 7.5);
}

#[test]
fn json_has_the_fields_that_readers_know() {
    let row = Row {
        suite: "linux",
        case: "clean".to_owned(),
        metric: "goodput",
        unit: "Mbit/s",
        ours: 90.0,
        rival: 60.0,
        rival_name: "linux reno",
        ratio: 1.5,
        bar: None,
    };
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("rows.json");
    write_json(&[row], &file).unwrap();
    let text = fs::read_to_string(file).unwrap();
    let rows: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(rows[0]["rival_name"], "linux reno");
    assert_eq!(rows[0]["ratio"], 1.5);
    assert!(rows[0]["bar"].is_null());
}
