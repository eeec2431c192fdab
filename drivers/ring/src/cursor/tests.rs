use super::*;
use std::vec;
use std::vec::Vec;

/// The other side of a ring, kept as plain counters that only grow: the model to compare with.
struct Model {
    num_slots: u64,
    /// Slots ever published to the other side, taken by us, and given by it.
    published: u64,
    taken: u64,
    given: u64,
}

impl Model {
    fn index(&self, counter: u64) -> u32 {
        (counter % self.num_slots) as u32
    }
}

/// Every ring of 1 to 8 slots, every starting slot, every sequence of six operations out of:
/// take 0..n, publish, and every value that the other side might write as tail.
#[test]
fn all_small_rings_agree_with_counters() {
    for num_slots in 1..=8_u32 {
        for start in 0..num_slots {
            let cursor = Cursor::new(num_slots, start, start).unwrap();
            let model = Model {
                num_slots: num_slots.into(),
                published: start.into(),
                taken: start.into(),
                given: start.into(),
            };
            let depth = if num_slots <= 4 { 6 } else { 4 };
            explore(&cursor, &model, depth);
        }
    }
}

fn explore(cursor: &Cursor, model: &Model, depth: u32) {
    let num_slots = cursor.num_slots();
    assert_eq!(u64::from(cursor.space()), model.given - model.taken);
    assert_eq!(u64::from(cursor.pending()), model.taken - model.published);
    assert!(
        cursor.space() + cursor.pending() < num_slots,
        "one slot is never ours"
    );
    if depth == 0 {
        return;
    }
    let with = |published, taken, given| Model {
        published,
        taken,
        given,
        ..*model
    };
    // Take one.
    let mut next = cursor.clone();
    match next.take() {
        None => assert_eq!(model.taken, model.given),
        Some(slot) => {
            assert_eq!(slot.get() as u32, model.index(model.taken));
            explore(
                &next,
                &with(model.published, model.taken + 1, model.given),
                depth - 1,
            );
        }
    }
    // Publish.
    let mut next = cursor.clone();
    assert_eq!(next.publish(), model.index(model.taken));
    explore(
        &next,
        &with(model.taken, model.taken, model.given),
        depth - 1,
    );
    // The other side writes anything at all.
    for tail in (0..num_slots + 2).chain([u32::MAX]) {
        let mut next = cursor.clone();
        let given_max = model.published + model.num_slots - 1;
        let legal = (model.given..=given_max).find(|&given| model.index(given) == tail);
        match (tail < num_slots, legal) {
            (true, Some(given)) => {
                assert_eq!(next.learn(tail), Ok((given - model.given) as u32));
                explore(&next, &with(model.published, model.taken, given), depth - 1);
            }
            _ => {
                assert_eq!(next.learn(tail), Err(BadTail { tail }));
                assert_eq!(next, *cursor, "a bad tail changes nothing");
            }
        }
    }
}

#[test]
fn a_ring_needs_indices_inside_it() {
    assert_eq!(Cursor::new(0, 0, 0), Err(BadTail { tail: 0 }));
    assert_eq!(Cursor::new(4, 4, 0), Err(BadTail { tail: 0 }));
    assert_eq!(Cursor::new(4, 0, 4), Err(BadTail { tail: 4 }));
}

/// Both sides of a ring in one memory, at different paces: every value arrives once, in order.
#[test]
fn values_cross_rings_of_every_size_in_order() {
    for num_slots in 2..=8_u32 {
        for burst in 1..=num_slots {
            let mut slots = vec![0_u32; num_slots as usize];
            // Our transmit side, and the far receive side of the same slots.
            let mut tx = Cursor::new(num_slots, 0, num_slots - 1).unwrap();
            let mut rx = Cursor::new(num_slots, 0, 0).unwrap();
            let (mut sent, mut got) = (0_u32, Vec::new());
            while got.len() < 100 {
                for _ in 0..burst {
                    let Some(slot) = tx.take() else { break };
                    slots[slot.get()] = sent;
                    sent += 1;
                }
                rx.learn(tx.publish()).unwrap();
                while let Some(slot) = rx.take() {
                    got.push(slots[slot.get()]);
                }
                // The far side keeps one slot back: its head is our tail minus one.
                let head = rx.publish();
                tx.learn((head + num_slots - 1) % num_slots).unwrap();
            }
            assert!(got.iter().copied().eq(0..got.len() as u32));
        }
    }
}
