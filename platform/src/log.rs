//! Log levels, as `log=` names them.

/// How much is logged at run time. What was compiled in is decided earlier, by `DEFMT_LOG`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum LogLevel {
    /// Nothing.
    Off,
    /// What stops the image from doing its work.
    Error,
    /// What it survives, but a person should know.
    Warn,
    /// Milestones: addresses, links, connections of the control plane.
    #[default]
    Info,
    /// Each connection.
    Debug,
    /// Each packet.
    Trace,
}

impl LogLevel {
    /// All levels, from the quietest.
    pub const ALL: [LogLevel; 6] = [
        LogLevel::Off,
        LogLevel::Error,
        LogLevel::Warn,
        LogLevel::Info,
        LogLevel::Debug,
        LogLevel::Trace,
    ];

    /// The level called `name`.
    pub fn from_name(name: &str) -> Option<LogLevel> {
        LogLevel::ALL.into_iter().find(|level| level.name() == name)
    }

    /// What the command line calls it.
    pub fn name(self) -> &'static str {
        match self {
            LogLevel::Off => "off",
            LogLevel::Error => "error",
            LogLevel::Warn => "warn",
            LogLevel::Info => "info",
            LogLevel::Debug => "debug",
            LogLevel::Trace => "trace",
        }
    }
}
