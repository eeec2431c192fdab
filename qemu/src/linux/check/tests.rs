use super::*;
use anyhow::bail;

#[test]
fn results_come_in_the_order_of_the_items() {
    let items: Vec<u32> = (0..100).collect();
    let done = at_once(&items, 4, |item| Ok(item * 2)).unwrap();
    assert_eq!(done, items.iter().map(|item| item * 2).collect::<Vec<_>>());
}

#[test]
fn a_failure_ends_the_run() {
    let items: Vec<u32> = (0..100).collect();
    let begun = AtomicUsize::new(0);
    let done = at_once(&items, 1, |item| {
        begun.fetch_add(1, Ordering::Relaxed);
        if *item == 3 { bail!("three") } else { Ok(()) }
    });
    assert_eq!(done.unwrap_err().to_string(), "three");
    assert_eq!(begun.load(Ordering::Relaxed), 4);
}
