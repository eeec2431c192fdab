//! The fuzz targets' functions under plain `cargo test`: every file of the minimised corpus, the
//! requests of `requests.txt` with mutations, and random ones.

#[allow(dead_code)]
mod fuzz;

use std::fs;
use std::path::Path;

/// Runs `target` on all files of its corpus.
fn replay(name: &str, target: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("fuzz/corpus")
        .join(name);
    let entries = fs::read_dir(&folder).expect("the corpus is committed");
    let mut cnt = 0;
    for entry in entries {
        let path = entry.expect("readable").path();
        target(&fs::read(&path).expect("readable"));
        cnt += 1;
    }
    assert!(cnt >= 20, "{cnt} files in {}", folder.display());
}

/// A generator of numbers: xorshift, seeded.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % bound.max(1) as u64) as usize
    }
}

/// Words of requests, whole and broken, put together at random.
fn sample(words: &[&str], cnt: usize, target: fn(&[u8])) {
    let mut numbers = Numbers(0x5eed_5eed);
    for _ in 0..cnt {
        let mut bytes = vec![numbers.below(256) as u8, numbers.below(3) as u8];
        for _ in 0..numbers.below(24) {
            bytes.extend(words[numbers.below(words.len())].as_bytes());
            if numbers.below(40) == 0 {
                bytes.push(numbers.below(256) as u8);
            }
        }
        target(&bytes);
    }
}

#[test]
fn the_corpus_of_requests_holds() {
    replay("requests", fuzz::requests);
}

#[test]
fn the_corpus_of_the_short_cut_holds() {
    replay("short_cut", fuzz::short_cut);
}

#[test]
fn the_corpus_of_the_admin_port_holds() {
    replay("look", fuzz::look::look);
}

#[test]
fn the_corpus_of_rules_holds() {
    replay("rules", fuzz::rules);
}

#[test]
fn random_requests_hold() {
    let words = [
        "GET ",
        "HEAD ",
        "OPTIONS ",
        "POST ",
        "/",
        "/a.txt",
        "/d",
        "/d/",
        "/v.css",
        "/big",
        "/f/",
        "/b/x/y",
        "/u/",
        "%2e%2e/",
        "../",
        "%2f",
        "%00",
        "%c0%af",
        "/_redirects",
        "?q",
        " HTTP/1.1",
        " HTTP/1.0",
        " HTTP/1.2",
        "\r\n",
        "\r\n",
        "\r\n\r\n",
        "Host: h\r\n",
        "Host: x:80\r\n",
        "Connection: close\r\n",
        "Connection: keep-alive\r\n",
        "Content-Length: 5\r\n",
        "hello",
        "Transfer-Encoding: chunked\r\n",
        "5\r\nhello\r\n",
        "0\r\n\r\n",
        "Expect: 100-continue\r\n",
        "Range: bytes=0-1,100-200,-5\r\n",
        "Range: bytes=0-",
        "If-Range: \"80a69b9688ccaf52\"\r\n",
        "If-None-Match: *\r\n",
        "If-Match: \"x\"\r\n",
        "Accept-Encoding: gzip, br;q=0.5\r\n",
        "Accept-Encoding: *;q=0\r\n",
        "GET / HTTP/1.1\r\nHost: h\r\n\r\n",
        "\n",
        "\r",
        "\0",
        ":",
        " ",
        "http://default/",
        "GET /app/x HTTP/1.1\r\nHost: h\r\n",
    ];
    sample(&words, 4_000, fuzz::requests);
    sample(&words, 4_000, fuzz::short_cut);
}

#[test]
fn random_rules_hold() {
    let words = [
        "/",
        "*",
        ":x",
        ":splat",
        "/a",
        "/b/",
        " ",
        "\t",
        "\n",
        "\n",
        "\n/",
        "301",
        "200",
        "404!",
        "https://h/",
        "http:",
        "#",
        "!",
        "\0",
        "/*\n",
        "X-Y: z\n",
        "Content-Type: text/x\n",
        ":",
        "Cache-Control:no-store\n",
        "%",
        "?",
        "\r\n",
        "é",
        "/x/:y/* /z/:y/:splat 302\n",
        "//",
    ];
    sample(&words, 1_000, fuzz::rules);
}

#[test]
fn random_words_at_the_admin_port_hold() {
    let words = [
        "GET ",
        "HEAD ",
        "POST ",
        "GET /metrics HTTP/1.1\r\n\r\n",
        "GET /capture?",
        "seconds=1",
        "seconds=",
        "3600",
        "&",
        "filter=",
        "tcp+port+80",
        "%20host%2010.0.0.2",
        "%0d%0aX:+y",
        "%",
        "snaplen=64",
        "9999999999999999999",
        "/connections",
        ".html",
        "?from=",
        "&limit=",
        "/healthz",
        "/readyz",
        "/",
        " HTTP/1.1\r\n",
        " HTTP/1.0\r\n",
        "Accept: text/html\r\n",
        "Host: h\r\n",
        "\r\n",
        "\r\n\r\n",
        "\n",
        "\0",
        ":",
        "\r",
    ];
    sample(&words, 150, fuzz::look::look);
}
