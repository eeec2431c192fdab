//! The runner fails where it should: a script that is wrong in one place, and the complaint.

use super::run::Trace;
use super::run_caught;

/// A connection that was accepted as 4, and its lines before and after.
const OPEN: &str = "
0 socket(..., SOCK_STREAM, IPPROTO_TCP) = 3
+0 bind(3, ..., ...) = 0
+0 listen(3, 1) = 0
+.1 < S 0:0(0) win 10000 <mss 1000>
+0 > S. 0:0(0) ack 1 <mss 1460>
+.1 < . 1:1(0) ack 1 win 10000
+0 accept(3, ..., ...) = 4
";

fn complaint(script: &str) -> String {
    match run_caught(script, &Trace::default()) {
        Ok(()) => "none".to_string(),
        Err(error) => format!("{}: {}", error.line, error.text),
    }
}

/// Runs rows of (what follows an open connection, what the complaint contains).
fn check(rows: &[(&str, &str)]) {
    for (script, expected) in rows {
        let complaint = complaint(&format!("{OPEN}{script}"));
        assert!(complaint.contains(expected), "{script}\nfound: {complaint}");
    }
}

#[test]
fn a_script_that_is_right_passes() {
    let rest = "
        +0 write(4, ..., 1500) = 1500
        +0 > . 1:1001(1000) ack 1
        +.01 < . 1:1(0) ack 1001 win 10000
        +0 > P. 1001:1501(500) ack 1
        +.01 < P. 1:101(100) ack 1501 win 10000
        +0 read(4, ..., 1000) = 100
        +.04 > . 1501:1501(0) ack 101
        +0 %{ assert tcpi_state == TCP_ESTABLISHED and tcpi_snd_mss == 1000, tcpi_state }%
    ";
    assert_eq!(complaint(&format!("{OPEN}{rest}")), "none");
}

#[test]
fn a_cookie_is_known_when_it_was_given_and_stays_the_same() {
    let syn = "+0 < 40001 > 8080 S 0:0(0) win 9 <mss 1000,FO TFO_COOKIE,nop,nop>";
    check(&[(syn, "no cookie has been given yet")]);
    let asked = "+0 < 40001 > 8080 S 0:0(0) win 9 <mss 1000,FO,nop,nop>
        +0 > 8080 > 40001 S. 0:0(0) ack 1";
    let given = format!("{asked} <mss 1460,FO TFO_COOKIE,nop,nop>");
    // Off: no cookie comes.
    check(&[(&given, "no cookie has been given yet")]);
    let other = format!("{asked} <mss 1460,FO 0102030405060708,nop,nop>");
    let on = "+0 setsockopt(3, SOL_TCP, TCP_FASTOPEN, [5], 4) = 0\n";
    check(&[
        (&format!("{on}{given}"), "none"),
        (&format!("{on}{other}"), "wrong options"),
        (
            "+0 setsockopt(4, SOL_TCP, TCP_FASTOPEN, [5], 4) = 0",
            "says otherwise",
        ),
    ]);
}

#[test]
fn wrong_segments_are_told() {
    check(&[
        (
            "+0 write(4, ..., 500) = 500\n+0 > P. 1:401(400) ack 1",
            "10: wrong length\n  expected: > P. 1:401(400) ack 1\n  \
             got:      > P. 1:501(500) ack 1 win 65535 (tos 0x0)",
        ),
        (
            "+0 write(4, ..., 500) = 500\n+0 > . 1:501(500) ack 1",
            "10: wrong flags",
        ),
        (
            "+0 write(4, ..., 500) = 500\n+0 > P. 2:502(500) ack 1",
            "10: wrong sequence number",
        ),
        (
            "+0 write(4, ..., 500) = 500\n+0 > P. 1:501(500) ack 2",
            "10: wrong acknowledgment",
        ),
        (
            "+0 write(4, ..., 500) = 500\n+0 > P. 1:501(500) ack 1 win 5",
            "10: wrong window",
        ),
        (
            "+0 write(4, ..., 500) = 500\n+0 > P. 1:501(500) ack 1 <nop,nop,TS val 1 ecr 2>",
            "10: wrong options",
        ),
        (
            "+0 write(4, ..., 500) = 500\n+0 > [ce] P. 1:501(500) ack 1",
            "10: wrong ECN",
        ),
        (
            "+0 write(4, ..., 500) = 500\n+0 > 8080 > 4 P. 1:501(500) ack 1",
            "10: wrong ports\n  expected: > P. 1:501(500) ack 1\n  \
             got:      > 8080 > 40000 P. 1:501(500) ack 1",
        ),
        (
            "+0 write(4, ..., 500) = 500\n+0 > P. 1:501(500) ack 1\n+0 > . 501:501(0) ack 1",
            "11: missing segment\n  expected: > . 501:501(0) ack 1\n  \
             got:      nothing until 0.204",
        ),
        (
            "+0 write(4, ..., 500) = 500",
            "9: sent and not expected\n  got:      > P. 1:501(500) ack 1 win 65535 at 0.200",
        ),
        (
            "+0 write(4, ..., 3000) = 3000\n+0 > P. 1:2501(2500) ack 1",
            "10: wrong length\n  expected: > P. 2001:2501(500) ack 1",
        ),
    ]);
}

#[test]
fn wrong_times_are_told() {
    check(&[
        (
            "+0 write(4, ..., 500) = 500\n+.1 > P. 1:501(500) ack 1",
            "10: wrong time\n  expected: > P. 1:501(500) ack 1 between 0.296000 and 0.304000",
        ),
        (
            "+0 < P. 1:101(100) ack 1 win 9\n+.01 > . 1:1(0) ack 101",
            "10: missing segment",
        ),
        (
            "+0 < P. 1:101(100) ack 1 win 9\n+.01~+.03 > . 1:1(0) ack 101",
            "10: missing segment",
        ),
        ("0.1 read(4, ..., 1) = 1", "9: time goes backwards"),
        (
            "* read(4, ..., 1) = 1",
            "9: only an outbound packet can have any time",
        ),
        (
            "+0...0.1 read(4, ..., 9) = 9\n+.05 < P. 1:10(9) ack 1 win 9\n+.04 > . 1:1(0) ack 10",
            "9: wrong time: expected to return at 0.300000, returned at 0.250000",
        ),
        ("+0...0.1 read(4, ..., 9) = 9", "9: read has not returned"),
    ]);
}

/// Any time is not never, and an absolute time is that time.
#[test]
fn any_time_and_absolute_times_are_kept_to() {
    let write = "+0 write(4, ..., 500) = 500";
    check(&[
        ("* > P. 1:501(500) ack 1", "9: missing segment"),
        (
            &format!("{write}\n* > P. 1:401(400) ack 1"),
            "10: wrong length",
        ),
        (&format!("{write}\n* > P. 1:501(500) ack 1"), "none"),
        (&format!("{write}\n0.2 > P. 1:501(500) ack 1"), "none"),
        (
            &format!("{write}\n0.3 > P. 1:501(500) ack 1"),
            "10: wrong time",
        ),
        (
            "0.5 write(4, ..., 500) = 500\n0.5 > P. 1:501(500) ack 1",
            "none",
        ),
    ]);
}

#[test]
fn wrong_lists_of_sack_blocks_are_told() {
    let open = OPEN.replace("<mss 1000>", "<mss 1000,nop,nop,sackOK>");
    let open = open.replace("<mss 1460>", "<mss 1460,nop,nop,sackOK>");
    let gap = "+0 < . 1001:2001(1000) ack 1 win 9\n+0 < . 3001:4001(1000) ack 1 win 9
        +0 > . 1:1(0) ack 1 <nop,nop,sack 1001:2001>\n+0 > . 1:1(0) ack 1";
    for (list, expected) in [
        ("<nop,nop,sack 3001:4001 1001:2001>", "none"),
        ("<nop,nop,sack 1001:2001 3001:4001>", "wrong options"),
        ("<nop,nop,sack 3001:4001>", "wrong options"),
        ("<nop,nop,sack 3001:4001 1001:2002>", "wrong options"),
        ("<nop,nop,sack 3001>", "expected"),
        ("", "wrong options"),
    ] {
        let complaint = complaint(&format!("{open}{gap} {list}"));
        assert!(complaint.contains(expected), "{list}\nfound: {complaint}");
    }
    let told = "+0 write(4, ..., 3000) = 3000\n+0 > P. 1:3001(3000) ack 1
        +.01 < . 1:1(0) ack 1 win 10000 <nop,nop,sack 1001:2001 2501:3001>
        +0 %{ assert tcpi_sacked == 2, tcpi_sacked }%";
    assert_eq!(complaint(&format!("{open}{told}")), "none");
}

#[test]
fn wrong_calls_are_told() {
    check(&[
        ("+0 read(4, ..., 9) = 9", "9: it would block"),
        (
            "+0 fcntl(4, F_SETFL, O_RDWR|O_NONBLOCK) = 0\n+0 read(4, ..., 9) = -1 EPIPE (note)",
            "10: wrong result of read\n  expected: -1 EPIPE\n  got:      -1 EAGAIN",
        ),
        (
            "+0 write(4, ..., 9) = 8",
            "9: wrong result of write\n  expected: 8\n  got:      9",
        ),
        ("+0 write(5, ..., 9) = 9", "9: no socket 5"),
        ("+0 mmap(4, ..., 9) = 9", "9: unknown call: mmap"),
        ("+0 write(4, ...) = 9", "9: write wants 3 arguments"),
        ("+0 accept(3, ..., ...) = 4", "9: it would block"),
        (
            "+0 setsockopt(4, SOL_TCP, TCP_FROB, [1], 4) = 0",
            "9: unknown socket option: TCP_FROB",
        ),
        (
            "+0 setsockopt(4, SOL_SOCKET, SO_RCVBUF, [1], 4) = 0",
            "9: SO_RCVBUF cannot be set",
        ),
        (
            "+0 getsockopt(4, SOL_SOCKET, SO_ERROR, [ECONNRESET], [4]) = 0",
            "9: getsockopt gives [0]",
        ),
        ("+0 read(4, ..., LOTS) = 0", "9: unknown constant: LOTS"),
        (
            "+0 recv(4, ..., 9, MSG_PEEK) = 0",
            "9: flags that are not there: MSG_PEEK",
        ),
    ]);
}

#[test]
fn unknown_lines_are_told() {
    check(&[
        ("+0 > icmp echo", "9: outbound ICMP cannot be expected"),
        ("+0 < icmp frob [1:2(1)]", "9: unknown ICMP error: frob"),
        ("+0 < X 1:1(0)", "9: unknown TCP flags: X"),
        ("+0 < . 1:3(1) ack 1", "9: 1:3(1) contradicts itself"),
        (
            "+0 < . 1:1(0) ack 1 <...>",
            "9: <...> is for outbound packets only",
        ),
        (
            "+0 < . 1:1(0) ack 1 <mood 3>",
            "9: unknown TCP option: mood",
        ),
        ("+0 < . 1:1(0) ack 1 <nop>", "9: TCP options of 1 bytes"),
        (
            "+0 < [blue] . 1:1(0) ack 1",
            "9: unknown field of the IP header: blue",
        ),
        (
            "+0 < . 1:65501(65500) ack 1",
            "9: longer than a datagram can be",
        ),
        (
            "+0 < . 1:1(0) ack 99999999999",
            "9: 99999999999 is out of range",
        ),
        (
            "+0 ?",
            "9: expected a packet, a call, a shell line or code, found `?`",
        ),
        ("gibberish", "9: expected a time, found `gibberish`"),
        (
            "+0 `rm -rf /`",
            "9: not a shell line that means something here",
        ),
        (
            "+0 `sysctl net.ipv4.tcp_sack=1`",
            "9: net.ipv4.tcp_sack comes after the first event",
        ),
        (
            "+0 %{ assert tcpi_mood == 1 }%",
            "9: unknown name: tcpi_mood",
        ),
        (
            "+0 %{ assert tcpi_snd_mss == 1 }%",
            "9: assertion failed: assert tcpi_snd_mss == 1",
        ),
        (
            "+0 %{ print(1) }%",
            "9: only assertions are understood: print(1)",
        ),
        ("/* no end", "9: a comment without an end"),
        ("--mood=blue", "9: unknown option: --mood"),
        ("--ip_version=ipv6", "9: --ip_version=ipv6 is not there yet"),
        ("--mtu=many", "9: --mtu: what is many?"),
    ]);
    assert!(complaint("`sysctl net.ipv4.tcp_mood=1`").contains("1: no such setting here"));
}

#[test]
fn all_of_the_syntax_is_read() {
    let script = "
        --define=LEN=100
        --define=MODE=O_RDWR
        # A comment, /* too */
        0 `../common/defaults.sh`
        0 socket(..., SOCK_STREAM|SOCK_NONBLOCK, IPPROTO_TCP) = 3 // here, too
        +0 setsockopt(3, SOL_SOCKET, SO_REUSEADDR, [1], 4) = 0
        +0 fcntl(3, F_GETFL) = 0x802 (flags O_RDWR|O_NONBLOCK)
        +0 fcntl(3, F_SETFL, MODE) = 0
        +0 bind(3, {sa_family = AF_INET, sin_port = htons(80),
                    sin_addr = inet_addr(\"192.168.0.1\")}, ...) = 0
        +0 listen(3, 1) = 0
        +0...0.2 accept(3, ..., ...) = 4
        +.1 < 5000 > 80 S 0:0(0) win 1000 <mss 1000,nop,eol,nop,nop>
        +0~+.1 > 80 > 5000 S. 0:0(0) ack 1 <...>
        +.1 < [ect0, ttl 9] 5000 > 80 . 1:1(0) ack 1 win 1000
        0.2~0.3 write(4, ..., LEN) = LEN
    ";
    let expected = "17: only an outbound packet can have any time or a range";
    assert_eq!(complaint(script), expected);
    let (script, _) = script.split_once("0.2~").expect("the last line");
    let script = format!(
        "{script}
        +0 write(4, ..., LEN) = LEN
        +0 > [noecn] 80 > 5000 P. 1:101(LEN) ack 1
        +0 poll([{{fd=4, events=POLLIN|POLLOUT, revents=POLLOUT}}], 1, 0) = 1
        +0 ioctl(4, SIOCOUTQ, [100]) = 0
        +0 writev(4, [{{..., 10}}, {{..., 20}}], 2) = 30
        +.01 < 5000 > 80 . 1:1(0) ack 101 win 1000
        * > 80 > 5000 P. 101:131(30) ack 1
        +0 < [101:131(30)] icmp unreachable host_unreachable
        +0 %{{
            # Python, a little of it
            assert (tcpi_unacked + 1) * 2 == 4 and not 1 > 2, tcpi_unacked
            assert 0 < tcpi_rto <= 300000 or tcpi_state & 1
        }}%
        "
    );
    assert_eq!(complaint(&script), "none");
}

/// Timestamps of ours are compared with time once the length of a tick is given.
#[test]
fn wrong_timestamps_are_told() {
    let script = |option: &str, val: u32| {
        complaint(&format!(
            "{option}
            0 socket(..., SOCK_STREAM, IPPROTO_TCP) = 3
            +0 bind(3, ..., ...) = 0
            +0 listen(3, 1) = 0
            +.1 < S 0:0(0) win 10000 <mss 1000,nop,nop,TS val 7 ecr 0>
            +0 > S. 0:0(0) ack 1 <mss 1460,nop,nop,TS val 100 ecr 7>
            +.1 < . 1:1(0) ack 1 win 10000 <nop,nop,TS val 8 ecr 100>
            +0 accept(3, ..., ...) = 4
            +0 write(4, ..., 10) = 10
            +0 > P. 1:11(10) ack 1 <nop,nop,TS val {val} ecr 8>"
        ))
    };
    let tick = "--tcp_ts_tick_usecs=1000";
    // A tolerance of 4 ms.
    for (option, val, expected) in [
        (tick, 200, "none"),
        (tick, 196, "none"),
        (tick, 195, "10: wrong options"),
        (tick, 205, "10: wrong options"),
        ("", 205, "none"),
    ] {
        let complaint = script(option, val);
        assert!(
            complaint.starts_with(expected),
            "{option} {val}: {complaint}"
        );
    }
    let unknown = OPEN.replace(
        "ack 1 win 10000",
        "ack 1 win 10000 <nop,nop,TS val 1 ecr 9>",
    );
    assert!(complaint(&unknown).contains("7: TS ecr 9 before any TS val of ours"));
}
