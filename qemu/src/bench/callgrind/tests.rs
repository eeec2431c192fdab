use super::*;

const PROFILE: &str = "\
# callgrind format
version: 1
positions: line
events: Ir
fl=(1) /w/stack/src/tcp/run.rs
fn=(1) simoom::tcp::run::send
120 5
fi=(2) /rustc/1/library/core/src/slice/mod.rs
+3 2
fi=(3) /w/stack/src/wire/checksum.rs
10 7
fe=(1)
121 1
cfi=(4) /w/stack/src/eth/mod.rs
cfn=(2) simoom::eth::output
calls=1 44
* 900

fl=(4)
fn=(2)
44 30

fl=(5) ./string/memmove.S
fn=(3) __memcpy_avx_unaligned_erms
0 11

fl=(6) /w/stack/benches/rival/ours.rs
fn=(4) <rival::ours::Server as simoom::tcp::app::App>::received
9 4

fl=(7) /w/stack/benches/rival/ours/rings.rs
fn=(5) send
9 3
";

#[test]
fn instructions_belong_to_the_file_that_they_were_written_in() {
    let split = read(PROFILE).unwrap();
    let expected = [
        (Layer::Ring, 3),
        (Layer::EthIp, 30),
        // The library's two among them.
        (Layer::Tcp, 5 + 2 + 1),
        (Layer::Sums, 7),
        (Layer::Copies, 11),
        (Layer::App, 4),
    ];
    for (layer, cost) in expected {
        assert_eq!(split.of(layer), cost, "{layer:?}");
    }
    // What a call cost within is not counted twice.
    assert_eq!(split.total(), 63);
}

#[test]
fn sums_of_smoltcp_are_told_from_its_headers() {
    let folder = tempfile::tempdir().unwrap();
    let wire = folder.path().join("smoltcp-0.14.0/src/wire");
    std::fs::create_dir_all(&wire).unwrap();
    let file = wire.join("ip.rs");
    std::fs::write(&file, "header\nheader\npub mod checksum {\nsum\n}\n").unwrap();
    let profile = format!(
        "events: Ir\nfl=(1) {}\nfn=(1) smoltcp::iface::poll\n2 5\n+2 9\n* 1\n-3 3\n",
        file.display()
    );
    let split = read(&profile).unwrap();
    assert_eq!((split.of(Layer::EthIp), split.of(Layer::Sums)), (8, 10));
}

#[test]
fn other_formats_are_refused() {
    assert!(read("events: Dr\n").is_err());
    assert!(read("").is_err());
    assert!(read("events: Ir\n12 many\n").is_err());
    assert!(read("events: Ir\n1x2 5\n").is_err());
}
