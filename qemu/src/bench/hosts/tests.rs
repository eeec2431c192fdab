use super::*;

#[test]
fn what_others_say_is_read() {
    let line = "pipe, Move, 60 B: 41.5 M frames/s, 24.1 ns each (20000000 sent)";
    assert_eq!(frames(line), Some(("pipe, Move, 60 B", 41.5)));
    assert_eq!(frames("pipe"), None);
    let said = "simoom: listening on http://10.79.0.3/\n\
                simoom: stats: 0 answers, 0 connections, 1 frames in, 9.00 calls an answer\n\
                simoom: stats: 300 answers, 64 connections, 1 frames in, 0.10 calls an answer\n\
                simoom: stats: 100 answers, 64 connections, 1 frames in, 0.50 calls an answer\n\
                simoom: ended: frames 8 of 8 home, 17 payload bytes copied\n";
    let (calls, copied) = read(said).unwrap();
    assert!((calls - 0.2).abs() < 1e-9, "{calls}");
    assert_eq!(copied, 17.0);
    assert!(read("").is_err());
}
