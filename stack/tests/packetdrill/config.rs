//! What a script says of the world that it runs in: its `--name=value` lines and its sysctls.

use std::net::{IpAddr, Ipv4Addr};
use std::str::FromStr;

use super::lex::Error;

/// The world of one script. Defaults are packetdrill's.
#[derive(Clone, Debug)]
pub(crate) struct Config {
    pub(crate) local: IpAddr,
    pub(crate) remote: IpAddr,
    pub(crate) mtu: u16,
    /// The port that `bind(3, ..., ...)` takes.
    pub(crate) bind_port: u16,
    /// The port that `connect(3, ..., ...)` goes to.
    pub(crate) connect_port: u16,
    /// The port that a peer which connects to us speaks from.
    pub(crate) remote_port: u16,
    pub(crate) tolerance_us: u64,
    /// Microseconds of a tick of our timestamps; 0, the default: their values are not looked at.
    pub(crate) ts_tick_us: u32,
    /// Lengths of the stack's tables.
    pub(crate) frames: usize,
    pub(crate) conns: usize,
    pub(crate) syns: usize,
    pub(crate) time_waits: usize,
    pub(crate) gaps: usize,
    /// Segments that are acknowledged at once when data begins to come. Linux does that, too; most
    /// of our scripts are easier to read without.
    pub(crate) quick_acks: u8,
    /// Settings by the names that Linux gives them, each with its line.
    pub(crate) sysctls: Vec<(u32, String, String)>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            local: Ipv4Addr::new(192, 168, 0, 1).into(),
            remote: Ipv4Addr::new(192, 0, 2, 1).into(),
            mtu: 1_500,
            bind_port: 8_080,
            connect_port: 8_080,
            remote_port: 40_000,
            tolerance_us: 4_000,
            ts_tick_us: 0,
            frames: 1_024,
            conns: 16,
            syns: 16,
            time_waits: 4,
            gaps: 16,
            quick_acks: 0,
            sysctls: Vec::new(),
        }
    }
}

impl Config {
    /// Reads the option lines of a script.
    pub(crate) fn new(options: &[(u32, String, String)]) -> Result<Self, Error> {
        let mut config = Self::default();
        for (line, name, value) in options {
            config.set(*line, name, value)?;
        }
        if config.local.is_ipv4() != config.remote.is_ipv4() {
            return Err(Error::new(1, "local_ip and remote_ip are of two families"));
        }
        Ok(config)
    }

    fn set(&mut self, line: u32, name: &str, value: &str) -> Result<(), Error> {
        match name {
            // The lexer has done it.
            "define" => {}
            "ip_version" if value == "ipv4" => {}
            "ip_version" => {
                let text = format!("--ip_version={value} is not there yet");
                return Err(Error::new(line, text));
            }
            "local_ip" => self.local = read(line, name, value)?,
            "remote_ip" => self.remote = read(line, name, value)?,
            // The one gateway of this small world answers for every address.
            "gateway_ip" | "netmask_ip" => drop(read::<IpAddr>(line, name, value)?),
            "mtu" => self.mtu = read(line, name, value)?,
            "bind_port" => self.bind_port = read(line, name, value)?,
            "connect_port" => self.connect_port = read(line, name, value)?,
            "remote_port" => self.remote_port = read(line, name, value)?,
            // As it is here: only what is longer than the MTU is several segments.
            "strict_segments" => {}
            // As it is here: a TSecr between two that were sent is in between, too.
            "tcp_ts_ecr_scaled" => {}
            "tolerance_usecs" => self.tolerance_us = read(line, name, value)?,
            "tcp_ts_tick_usecs" => self.ts_tick_us = read(line, name, value)?,
            "frames" => self.frames = read(line, name, value)?,
            "conns" => self.conns = read(line, name, value)?,
            "syns" => self.syns = read(line, name, value)?,
            "time_waits" => self.time_waits = read(line, name, value)?,
            "gaps" => self.gaps = read(line, name, value)?,
            "quick_acks" => self.quick_acks = read(line, name, value)?,
            _ => return Err(Error::new(line, format!("unknown option: --{name}"))),
        }
        Ok(())
    }

    /// Takes a shell line: only settings mean something here.
    pub(crate) fn shell(&mut self, line: u32, text: &str) -> Result<(), Error> {
        let text = text.replace("\\\n", " ");
        for command in text.split(['\n', ';']) {
            let command = command.split('#').next().unwrap_or_default();
            let words: Vec<&str> = command.split_whitespace().collect();
            match words[..] {
                [] => {}
                // What packetdrill's own scripts begin with. Our defaults are defaults already.
                [defaults] if defaults.ends_with("common/defaults.sh") => {}
                ["sysctl", ref rest @ ..] => {
                    let settings = rest.iter().filter(|word| !word.starts_with('-'));
                    for setting in settings {
                        self.sysctl(line, setting)?;
                    }
                }
                [set, ref rest @ ..] if set.ends_with("set_sysctls.py") => {
                    for setting in rest {
                        self.sysctl(line, setting)?;
                    }
                }
                _ => {
                    let text = format!("not a shell line that means something here: {command}");
                    return Err(Error::new(line, text));
                }
            }
        }
        Ok(())
    }

    fn sysctl(&mut self, line: u32, setting: &str) -> Result<(), Error> {
        let Some((name, value)) = setting.split_once('=') else {
            return Err(Error::new(line, format!("not name=value: {setting}")));
        };
        let name = name.trim_start_matches("/proc/sys/").replace('/', ".");
        let value = value.trim_matches(['"', '\'']);
        self.sysctls.push((line, name, value.to_string()));
        Ok(())
    }
}

fn read<T: FromStr>(line: u32, name: &str, value: &str) -> Result<T, Error> {
    let bad = |_| Error::new(line, format!("--{name}: what is {value}?"));
    value.parse().map_err(bad)
}
