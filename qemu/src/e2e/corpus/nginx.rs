//! nginx, set up to do what our server does, on a port of 127.0.0.1.

use super::super::running::Running;
use super::super::{free_port, within};
use crate::install::Tool;
use anyhow::{Context, Result, bail};
use std::fs;
use std::net::{Ipv4Addr, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

/// The other server.
const NGINX: Tool = Tool {
    program: "nginx",
    package: "nginx",
};
/// How long it may take to listen.
const START_LIMIT: Duration = Duration::from_secs(20);

/// A running nginx. It ends with this value.
pub(super) struct Nginx {
    _program: Running,
    /// Where it listens.
    pub(super) port: u16,
}

impl Nginx {
    /// Starts one that serves `root` and keeps its own files in `folder`.
    pub(super) fn start(folder: &Path, root: &Path) -> Result<Self> {
        let program = NGINX.need()?;
        let port = free_port()?;
        let config = folder.join("nginx.conf");
        let folder_text = folder.to_str().context("a folder with a plain name")?;
        let root_text = root.to_str().context("a folder with a plain name")?;
        let text = CONFIG
            .replace("FOLDER", folder_text)
            .replace("ROOT", root_text)
            .replace("PORT", &port.to_string());
        fs::write(&config, text)?;
        let child = Command::new(program)
            .arg("-p")
            .arg(folder)
            .arg("-c")
            .arg(&config)
            .arg("-e")
            .arg(folder.join("error.log"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .context("cannot run nginx")?;
        let nginx = Self {
            _program: Running(child),
            port,
        };
        let listens = || TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok();
        if !within(START_LIMIT, listens) {
            let log = fs::read_to_string(folder.join("error.log")).unwrap_or_default();
            bail!(
                "nginx does not listen: {}",
                log.lines().last().unwrap_or("")
            );
        }
        Ok(nginx)
    }
}

/// One process, no log, the types and limits of our server, and its rules in nginx's words.
const CONFIG: &str = r#"
daemon off;
master_process off;
pid FOLDER/nginx.pid;
events { worker_connections 256; }
http {
    types {
        text/html html;
        text/css css;
        text/javascript js;
        text/plain txt;
        application/json json;
        application/gzip gz;
    }
    default_type application/octet-stream;
    charset utf-8;
    charset_types text/css text/javascript text/plain;
    access_log off;
    server_tokens off;
    etag on;
    if_modified_since before;
    gzip_static on;
    gzip_vary on;
    gzip_http_version 1.0;
    gzip_proxied any;
    max_ranges 32;
    absolute_redirect off;
    underscores_in_headers on;
    client_header_buffer_size 8k;
    large_client_header_buffers 2 8k;
    client_max_body_size 64k;
    keepalive_requests 10000;
    client_body_temp_path FOLDER/body;
    proxy_temp_path FOLDER/proxy;
    fastcgi_temp_path FOLDER/fastcgi;
    uwsgi_temp_path FOLDER/uwsgi;
    scgi_temp_path FOLDER/scgi;
    server {
        listen 127.0.0.1:PORT;
        root ROOT;
        index index.html;
        error_page 404 /404.html;
        location = /_redirects { return 404; }
        location = /_headers { return 404; }
        location = /old { return 301 /new$is_args$args; }
        location = /old/ { return 301 /new$is_args$args; }
        location ~ ^/posts/([^/]+)/(.*)$ { return 302 /blog/$1/$2$is_args$args; }
        location = /other { return 307 https://example.com/other$is_args$args; }
        location = /moved { return 308 /a.txt$is_args$args; }
        location = /see { return 303 /a.txt?from=see; }
        location /app/ { try_files $uri $uri/index.html /app/index.html; }
        location /assets/ { add_header Cache-Control "max-age=31536000"; }
        location = /a.txt { add_header X-Own "yes"; }
    }
}
"#;
