use super::*;

#[test]
fn cases_are_drawn_where_their_names_say() {
    let cases = cases(
        "8 KB kept\trequest\t2\n1 MB new\trequest\t2\n1 KB, none idle\trequest\t2\n\
                       1 KB, 1000 idle\trequest\t1\nbulk sent\tsegment\t2\n",
    );
    let cases = cases.unwrap();
    let drawn: Vec<_> = cases.iter().map(|case| at(case).pop()).collect();
    let xs: Vec<Option<f64>> = drawn.iter().map(|at| at.as_ref().map(|at| at.x)).collect();
    assert_eq!(
        xs,
        [
            Some(8_192.0),
            Some(1_048_576.0),
            Some(1.0),
            Some(1_000.0),
            None
        ]
    );
    assert!(cases[0].has_rival && !cases[3].has_rival);
    assert!(super::cases("what is this").is_err());
}
