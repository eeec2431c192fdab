use super::*;
use std::boxed::Box;
use std::vec::Vec;

fn range(start: u64, end: u64) -> Range {
    Range { start, end }
}

fn carve(ranges: &[(u64, u64)]) -> Carve {
    let mut carve = Carve::new();
    ranges
        .iter()
        .for_each(|(start, end)| carve.add(range(*start, *end)));
    carve
}

/// A naive model: one bool an address. Every sequence of three operations on short ranges agrees.
#[test]
fn add_and_remove_agree_with_a_bitmap() {
    const SPACE: u64 = 7;
    let mut operations = Vec::new();
    for start in 0..SPACE {
        for end in start..=SPACE {
            operations.push((true, range(start, end)));
            operations.push((false, range(start, end)));
        }
    }
    for a in &operations {
        for b in &operations {
            for c in &operations {
                let (mut carve, mut model) = (Carve::new(), [false; SPACE as usize]);
                for (is_add, operand) in [a, b, c] {
                    if *is_add {
                        carve.add(*operand)
                    } else {
                        carve.remove(*operand)
                    }
                    for address in operand.start..operand.end {
                        model[address as usize] = *is_add;
                    }
                }
                for (address, is_free) in model.into_iter().enumerate() {
                    let byte = range(address as u64, address as u64 + 1);
                    assert_eq!(
                        carve.ranges().iter().any(|free| free.contains(&byte)),
                        is_free
                    );
                }
                let mut pairs = carve.ranges().windows(2);
                assert!(
                    pairs.all(|pair| pair[0].end < pair[1].start),
                    "sorted, apart"
                );
            }
        }
    }
}

#[test]
fn take_gives_the_lowest_aligned_piece_that_fits() {
    let mut carve = carve(&[(0x1010, 0x1100), (0x2000, 0x9000)]);
    assert_eq!(carve.take(0x10, 0x10), Some(0x1010));
    assert_eq!(carve.take(0x1000, 0x1000), Some(0x2000));
    assert_eq!(carve.take(0x800, 0x4000), Some(0x4000));
    assert_eq!(carve.take(0x10000, 1), None);
    assert_eq!(carve.take(u64::MAX, 1), None);
    assert_eq!(carve.take(1, 0), None);
    assert_eq!(carve.free_len(), 0xf0 - 0x10 + 0x7000 - 0x1000 - 0x800);
}

#[test]
fn too_many_pieces_are_given_up_and_counted() {
    let mut carve = Carve::new();
    for piece in 0..RANGES_MAX as u64 + 10 {
        carve.add(range(piece * 16, piece * 16 + 8));
    }
    assert_eq!(carve.ranges().len(), RANGES_MAX);
    assert_eq!(carve.lost_len(), 80);
    carve.remove(range(2, 4));
    assert_eq!(carve.ranges().len(), RANGES_MAX);
    assert_eq!(
        (carve.ranges()[0], carve.ranges()[1]),
        (range(0, 2), range(4, 8))
    );
    assert_eq!(carve.lost_len(), 88);
    carve.add(range(0, u64::MAX));
    assert_eq!(carve.ranges(), [range(0, u64::MAX)]);
}

#[test]
fn ranges_at_the_end_of_the_address_space_do_not_wrap() {
    assert_eq!(Range::new(u64::MAX, 2), None);
    assert!(range(u64::MAX - 4, u64::MAX).align_in(4096).is_empty());
    assert_eq!(range(4097, 8193).align_in(4096), range(8192, 8192));
    assert_eq!(range(4097, 8193).align_out(4096), range(4096, 12288));
    assert_eq!(range(10, 20).below(15), range(10, 15));
    assert!(range(10, 20).below(5).is_empty());
}

fn memory(len: usize) -> Memory {
    let bytes = Box::leak(std::vec![0u8; len].into_boxed_slice());
    let start = bytes.as_mut_ptr().expose_provenance() as u64;
    let mut carve = Carve::new();
    carve.add(range(start, start + len as u64));
    // SAFETY: the bytes were leaked to this `Memory`, which alone uses them.
    unsafe { Memory::new(Box::leak(Box::new(spin::Mutex::new(carve)))) }
}

#[test]
fn slices_are_initialised_aligned_and_apart() {
    let mut memory = memory(1 << 16);
    let bytes = memory.take_bytes(3, 1).unwrap();
    let words = memory.take_slice(100, |i| i as u64).unwrap();
    let frames = memory
        .take_slice_aligned(4, 2048, |i| [i as u8; 2048])
        .unwrap();
    bytes.fill(0xff);
    words[99] += 1;
    assert!(
        words
            .iter()
            .enumerate()
            .all(|(i, word)| *word == i as u64 + u64::from(i == 99))
    );
    assert_eq!(frames.as_ptr() as usize % 2048, 0);
    assert!(
        frames
            .iter()
            .enumerate()
            .all(|(i, frame)| *frame == [i as u8; 2048])
    );
    assert!(memory.take_slice(0, |_| [0u64; 512]).unwrap().is_empty());
    assert!(memory.take_slice(10, |_| ()).unwrap().len() == 10);
}

#[test]
fn asking_too_much_takes_nothing() {
    let mut memory = memory(4096);
    let free = memory.free_bytes();
    let error = memory.take_slice(4097, |_| 0u8).unwrap_err();
    assert_eq!(
        error,
        OutOfMemory {
            asked_len: 4097,
            free_len: 4096
        }
    );
    assert_eq!(
        memory
            .take_slice(usize::MAX, |_| 0u64)
            .unwrap_err()
            .asked_len,
        u64::MAX
    );
    assert_eq!((memory.free_bytes(), memory.largest_bytes()), (free, free));
    assert_eq!(
        std::format!("{error}"),
        "out of memory: 4097 bytes asked for, 4096 bytes free"
    );
}
