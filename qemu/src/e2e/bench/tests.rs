use super::*;

const ROW: &str = r#"{"suite": "stack", "case": "1 KB kept", "metric": "time a request",
    "unit": "ns", "ours": 350.0, "rival": 250.0, "rival_name": "smoltcp", "ratio": 0.71}"#;

#[test]
fn only_whole_rows_pass() {
    assert_eq!(rows(&format!("[{ROW}]")).unwrap(), 1);
    let bad = [
        ROW.replace("350.0", "null"),
        ROW.replace("0.71", "null"),
        ROW.replace("\"unit\"", "\"units\""),
        ROW.replace("}", ", \"bar\": 1.0}"),
        ROW.replace("\"stack\"", "\"http\""),
    ];
    for row in bad {
        assert!(rows(&format!("[{row}]")).is_err(), "{row}");
    }
    assert!(rows(ROW).is_err(), "an array");
    // A layer that costs nothing.
    let nothing = ROW.replace("350.0", "0.0").replace("0.71", "null");
    assert!(rows(&format!("[{nothing}]")).is_ok());
}

#[test]
fn only_plots_with_lines_pass() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a.svg");
    for (text, is_good) in [
        ("<svg><polyline points=\"1,1 2,2\"/></svg>", true),
        ("<svg><polyline></svg>", false),
        ("<svg></svg>", false),
    ] {
        fs::write(&file, text).unwrap();
        assert_eq!(drawings(folder.path()).is_ok(), is_good, "{text}");
    }
}
