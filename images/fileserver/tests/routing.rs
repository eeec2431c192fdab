//! Which file a request gets: rules of the site, hosts, listings, the page for what is missing.

use simoom_fileserver::http::{Exchange, Limits, Server, Step};
use simoom_fileserver::site::{Memory, Options, Site};

/// Memory of the site's tables.
struct Leak;

impl Memory for Leak {
    fn take<T: 'static>(&mut self, cnt: usize, init: fn() -> T) -> Option<&'static mut [T]> {
        Some((0..cnt).map(|_| init()).collect::<Vec<_>>().leak())
    }
}

fn server(files: &[(&str, &str)], options: Options) -> Server {
    let mut builder = tar::Builder::new(Vec::new());
    for (name, body) in files {
        let mut header = tar::Header::new_gnu();
        header.set_mtime(784_111_777);
        if let Some(target) = body.strip_prefix("-> ") {
            header.set_entry_type(tar::EntryType::Symlink);
            header.set_size(0);
            builder.append_link(&mut header, name, target).unwrap();
            continue;
        }
        if name.ends_with('/') {
            header.set_entry_type(tar::EntryType::Directory);
        }
        header.set_size(body.len() as u64);
        builder
            .append_data(&mut header, name, body.as_bytes())
            .unwrap();
    }
    let archive = builder.into_inner().unwrap().leak();
    let site = Site::open(archive, options, 1, &mut Leak).unwrap();
    Server::new(site, Limits::DEFAULT)
}

/// An answer as a client has it.
struct Heard {
    status: u16,
    head: String,
    body: String,
}

impl Heard {
    fn field(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines.find(|(key, _)| *key == name).map(|(_, value)| value)
    }
}

fn say(server: &Server, request: &str) -> Heard {
    let mut head = [0; 1_800];
    let step = server.respond(
        &mut Exchange::default(),
        request.as_bytes(),
        &mut head,
        None,
    );
    let Step::Answer(answer) = step else {
        panic!("{step:?}")
    };
    Heard {
        status: answer.status.code(),
        head: String::from_utf8(head[..answer.head_len].to_vec()).unwrap(),
        body: String::from_utf8(answer.body.to_vec()).unwrap(),
    }
}

fn get(server: &Server, path: &str) -> Heard {
    say(server, &format!("GET {path} HTTP/1.1\r\nHost: h\r\n\r\n"))
}

#[test]
fn redirects() {
    let rules = "\
        # comment\n\
        /old            /new\n\
        /blog/:year/*   /posts/:year/:splat 302\n\
        /away/*         https://example.com/:splat?from=us 307\n\
        /x/:name        https://example.com/u/:name 308\n\
        /there          /elsewhere 301\n\
        /forced         /elsewhere#top 303!\n\
        /é              /ü\n\
        /bad            /x 299\n";
    let files = [
        ("_redirects", rules),
        ("there", "a file"),
        ("forced", "never seen"),
        ("index.html", "root"),
    ];
    let server = server(&files, Options::default());
    let row = |path: &str, status: u16, location: &str| {
        let heard = get(&server, path);
        assert_eq!(
            (heard.status, heard.field("Location")),
            (status, Some(location)),
            "{path}"
        );
    };
    row("/old", 301, "/new");
    row("/old/", 301, "/new");
    row("/old?a=1", 301, "/new?a=1");
    row("/blog/2020/a/b?c", 302, "/posts/2020/a/b?c");
    row("/blog/2020/", 302, "/posts/2020/");
    row("/away/x?y=z", 307, "https://example.com/x?from=us");
    row("/away", 307, "https://example.com/?from=us");
    row("/forced", 303, "/elsewhere#top");
    row("/%C3%A9", 301, "/%C3%BC");
    // What placeholders stand for cannot break out of the path, nor of the line.
    row(
        "/x/%0d%0aSet-Cookie:%20a",
        308,
        "https://example.com/u/%0D%0ASet-Cookie:%20a",
    );
    row("/x/%3Fq%23f", 308, "https://example.com/u/%3Fq%23f");
    row("/x/%5C%5Cevil", 308, "https://example.com/u/%5C%5Cevil");
    row(
        "/away//evil.example",
        307,
        "https://example.com/evil.example?from=us",
    );
    assert_eq!(get(&server, "/there").body, "a file");
    assert_eq!(get(&server, "/bad").status, 404);
    assert_eq!(get(&server, "/x/y/z").status, 404);
    assert_eq!(get(&server, "/_redirects").status, 404);
    assert_eq!(server.site().redirect_cnt(), 7);
    let mut told = Vec::new();
    server.site().rule_faults(|fault| told.push(fault.line));
    assert_eq!(told, [9]);
}

#[test]
fn a_single_page_application() {
    let files = [
        ("_redirects", "/api/* /none.json 404\n/* /index.html 200\n"),
        ("index.html", "app"),
        ("app.js", "js"),
        ("assets/x.png", "png"),
        ("none.json", "{}"),
    ];
    let server = server(&files, Options::default());
    for path in [
        "/",
        "/deep/link",
        "/deep/link/",
        "/app.js/x",
        "/assets/",
        "/_headers",
    ] {
        let heard = get(&server, path);
        assert_eq!((heard.status, &*heard.body), (200, "app"), "{path}");
        assert_eq!(
            heard.field("Content-Type"),
            Some("text/html; charset=utf-8")
        );
    }
    assert_eq!(get(&server, "/app.js").body, "js");
    let heard = get(&server, "/api/users");
    assert_eq!((heard.status, &*heard.body), (404, "{}"));
    assert_eq!(heard.field("Content-Type"), Some("application/json"));
    // Conditions and ranges are those of the file.
    let tag = get(&server, "/x").field("ETag").unwrap().to_string();
    let request = format!("GET /y HTTP/1.1\r\nHost: h\r\nIf-None-Match: {tag}\r\n\r\n");
    assert_eq!(say(&server, &request).status, 304);
}

#[test]
fn a_page_for_what_is_missing() {
    let files = [
        ("404.html", "<h1>lost</h1>"),
        ("404.html.gz", "gz"),
        ("a", "a"),
        ("_headers", "/*\n  X-Own: 1\n"),
    ];
    let server = server(&files, Options::default());
    let heard = get(&server, "/nowhere");
    assert_eq!((heard.status, &*heard.body), (404, "<h1>lost</h1>"));
    assert_eq!(heard.field("Content-Length"), Some("13"));
    assert_eq!(heard.field("X-Own"), Some("1"));
    assert_eq!(heard.field("ETag"), None);
    assert_eq!(heard.field("Vary"), Some("Accept-Encoding"));
    let heard = say(
        &server,
        "HEAD /nowhere HTTP/1.1\r\nHost: h\r\nAccept-Encoding: gzip\r\nRange: bytes=0-0\r\n\
         If-None-Match: *\r\n\r\n",
    );
    assert_eq!((heard.status, &*heard.body), (404, ""));
    assert_eq!(heard.field("Content-Encoding"), Some("gzip"));
    assert_eq!(heard.field("Content-Length"), Some("2"));
    assert_eq!(get(&server, "/404.html").status, 200);
    assert_eq!(
        say(&server, "OPTIONS /nowhere HTTP/1.1\r\nHost: h\r\n\r\n").status,
        404
    );
}

#[test]
fn fields_of_the_site() {
    let headers = "/*\n  X-Frame-Options: DENY\n/assets/*\n  Cache-Control: max-age=31536000\n\
        /\n  Link: </a.css>; rel=preload\n/feed\n  Content-Type: application/rss+xml\n\
        /crowded\n  X-Long: ";
    let headers = format!("{headers}{}\n", "x".repeat(1_500));
    let files = [
        ("_headers", headers.as_str()),
        ("index.html", "<!doctype html>"),
        ("assets/a.css", "0123456789"),
        ("assets/a.css.br", "br"),
        ("feed", "<rss/>"),
        ("crowded", "c"),
    ];
    let server = server(&files, Options::default());
    let heard = get(&server, "/assets/a.css");
    assert_eq!(heard.field("X-Frame-Options"), Some("DENY"));
    assert_eq!(heard.field("Cache-Control"), Some("max-age=31536000"));
    let tag = heard.field("ETag").unwrap();
    let request = format!("GET /assets/a.css HTTP/1.1\r\nHost: h\r\nIf-None-Match: {tag}\r\n\r\n");
    let heard = say(&server, &request);
    assert_eq!(heard.status, 304);
    assert_eq!(heard.field("Cache-Control"), Some("max-age=31536000"));
    let request = "GET /assets/a.css HTTP/1.1\r\nHost: h\r\nAccept-Encoding: br\r\n\
        Range: bytes=0-0\r\n\r\n";
    let heard = say(&server, request);
    assert_eq!(
        (heard.status, heard.field("Content-Encoding")),
        (206, Some("br"))
    );
    assert_eq!(heard.field("Cache-Control"), Some("max-age=31536000"));
    assert!(get(&server, "/").field("Link").is_some());
    assert_eq!(
        get(&server, "/feed").field("Content-Type"),
        Some("application/rss+xml")
    );
    assert_eq!(get(&server, "/crowded").field("X-Frame-Options"), None);
    assert_eq!(server.site().crowded_cnt(), 1);
    let heard = say(&server, "OPTIONS /assets/a.css HTTP/1.1\r\nHost: h\r\n\r\n");
    assert_eq!(
        (heard.status, heard.field("X-Frame-Options")),
        (204, Some("DENY"))
    );
    assert_eq!(get(&server, "/_headers").status, 404);
}

#[test]
fn hosts() {
    let files = [
        ("example.org/index.html", "org"),
        ("example.org/404.html", "org lost"),
        (
            "example.org/_redirects",
            "/go /there\n/leave /../default/secret 200\n",
        ),
        ("example.org/dir/x", "x"),
        ("www.example.org", "-> example.org"),
        ("example.com/index.html", "com"),
        ("example.com/_headers", "/\n  X-Com: 1\n"),
        ("default/index.html", "any"),
        ("default/secret", "secret"),
        ("top.txt", "outside of all hosts"),
    ];
    let options = Options {
        hosts: true,
        ..Options::default()
    };
    let server = server(&files, options);
    let ask = |host: &str, path: &str| {
        say(
            &server,
            &format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n"),
        )
    };
    let row = |host: &str, path: &str, status: u16, body: &str| {
        let heard = ask(host, path);
        assert_eq!(
            (heard.status, &*heard.body),
            (status, body),
            "{host} {path}"
        );
    };
    row("example.org", "/", 200, "org");
    row("EXAMPLE.ORG.:8080", "/", 200, "org");
    row("www.example.org", "/", 200, "org");
    row("example.com", "/", 200, "com");
    row("192.0.2.1", "/", 200, "any");
    row("", "/", 200, "any");
    row("top.txt", "/", 200, "any");
    row("example.org", "/nowhere", 404, "org lost");
    row("example.org", "/leave", 404, "org lost");
    row("example.org", "http://example.com/", 200, "com");
    assert_eq!(ask("example.org", "/go").field("Location"), Some("/there"));
    assert_eq!(
        ask("www.example.org", "/go").field("Location"),
        Some("/there")
    );
    assert_eq!(ask("example.com", "/go").status, 404);
    assert_eq!(ask("example.org", "/dir").field("Location"), Some("/dir/"));
    assert_eq!(ask("example.com", "/").field("X-Com"), Some("1"));
    assert_eq!(ask("example.org", "/").field("X-Com"), None);
    // Nothing leads from one site to another, or out of all.
    for path in [
        "/../default/secret",
        "/top.txt",
        "/%2e%2e/top.txt",
        "/default/secret",
    ] {
        let status = ask("example.org", path).status;
        assert!(matches!(status, 400 | 404), "{path}: {status}");
    }
    for host in ["..", ".", "a/..", "%2e%2e"] {
        let heard = ask(host, "/top.txt");
        assert!(
            matches!(heard.status, 400 | 404),
            "{host}: {}",
            heard.status
        );
    }
}

#[test]
fn a_host_that_nobody_has() {
    let options = Options {
        hosts: true,
        ..Options::default()
    };
    let server = server(&[("a.example/index.html", "a")], options);
    let heard = say(&server, "GET / HTTP/1.1\r\nHost: b.example\r\n\r\n");
    assert_eq!(heard.status, 421);
}

#[test]
fn listings() {
    let files = [
        ("b.txt", "12345"),
        ("a <&\"'> ü.txt", "x"),
        ("z/deep/file", "f"),
        ("empty/", ""),
        ("has/index.html", "own"),
        ("_headers", "/z/\n  X-Z: 1\n"),
        ("link", "-> z"),
    ];
    let options = Options {
        listing: true,
        ..Options::default()
    };
    let server = server(&files, options);
    let page = get(&server, "/");
    assert_eq!(page.status, 200);
    let len = page.body.len().to_string();
    assert_eq!(page.field("Content-Length"), Some(&*len));
    let hrefs: Vec<_> = page
        .body
        .split("href=\"")
        .skip(1)
        .map(|rest| rest.split('"').next().unwrap())
        .collect();
    let odd = "./a%20%3C%26%22%27%3E%20%C3%BC.txt";
    assert_eq!(
        hrefs,
        ["./empty/", "./has/", "./link/", "./z/", odd, "./b.txt"]
    );
    assert!(page.body.contains(">a &lt;&amp;&quot;&#39;&gt; ü.txt</a>"));
    assert!(
        page.body.contains("b.txt</a><td>06 Nov 1994 08:49<td>5\n"),
        "{}",
        page.body
    );
    assert_eq!(
        page.field("Last-Modified"),
        Some("Sun, 06 Nov 1994 08:49:37 GMT")
    );
    for href in hrefs {
        let path = href.strip_prefix('.').unwrap();
        assert_eq!(get(&server, path).status, 200, "{path}");
    }
    let deep = get(&server, "/z/deep/");
    assert!(deep.body.contains("<title>Index of /z/deep</title>"));
    assert!(deep.body.contains("href=\"../\"") && deep.body.contains("href=\"./file\""));
    assert_eq!(get(&server, "/z/").field("X-Z"), Some("1"));
    assert_eq!(get(&server, "/has/").body, "own");
    assert_eq!(get(&server, "/z").field("Location"), Some("/z/"));
    assert!(!get(&server, "/empty/").body.contains("\"./"));
    // Conditions and ranges as for files.
    let tag = page.field("ETag").unwrap();
    let request = format!("GET / HTTP/1.1\r\nHost: h\r\nIf-None-Match: {tag}\r\n\r\n");
    assert_eq!(say(&server, &request).status, 304);
    let request = "GET / HTTP/1.1\r\nHost: h\r\nRange: bytes=2-8\r\n\r\n";
    assert_eq!(say(&server, request).body, "doctype");
}
