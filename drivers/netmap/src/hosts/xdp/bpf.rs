//! bpf(2): programs, maps of sockets, links, as far as they are needed here.
//!
//! Everything is a file descriptor, and gone with it: a program that a link has attached to an
//! interface is detached when the link's descriptor is closed, however the process ends.

use std::ffi::CStr;
use std::format;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::string::{String, ToString};
use std::vec;

use super::asm::Insn;

/// In which way a program is attached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    /// In the driver, before Linux makes anything of a frame.
    Native,
    /// In Linux's stack (SKB mode): any interface has it.
    Generic,
}

/// Loads an XDP program. Where the kernel knows of frames in several pieces (5.18), the program
/// does, too: else they would be dropped instead of passed.
///
/// # Errors
/// What the kernel says; with the verifier's last words, when it was that.
pub(super) fn load(insns: &[Insn]) -> io::Result<OwnedFd> {
    let with = |prog_flags, log: &mut [u8]| {
        let mut attr = ProgLoad {
            prog_type: PROG_TYPE_XDP,
            insn_cnt: u32::try_from(insns.len()).unwrap_or(u32::MAX),
            insns: insns.as_ptr().addr() as u64,
            license: LICENSE.as_ptr().addr() as u64,
            log_level: u32::from(!log.is_empty()),
            log_size: u32::try_from(log.len()).unwrap_or(0),
            log_buf: match log.is_empty() {
                true => 0,
                false => log.as_mut_ptr().expose_provenance() as u64,
            },
            kern_version: 0,
            prog_flags,
            prog_name: *b"simoom\0\0\0\0\0\0\0\0\0\0",
            prog_ifindex: 0,
            expected_attach_type: ATTACH_XDP,
        };
        // SAFETY: instructions, license and log live until the call returns, and are as long as
        // the structure says.
        unsafe { bpf_fd(CMD_PROG_LOAD, &mut attr) }
    };
    match with(PROG_HAS_FRAGS, &mut []) {
        Err(error) if error.raw_os_error() == Some(libc::EINVAL) => {}
        done => return done,
    }
    with(0, &mut []).map_err(|error| {
        // Once more, to hear why: a log that is too short would be an error of its own.
        let mut log = vec![0_u8; LOG_LEN];
        let _same = with(0, &mut log);
        match last_line(&log) {
            Some(line) => io::Error::new(error.kind(), format!("{error}: {line}")),
            None => error,
        }
    })
}

/// A map of AF_XDP sockets, by queue.
///
/// # Errors
/// What the kernel says.
pub(super) fn socket_map(queues: u32) -> io::Result<OwnedFd> {
    let mut attr = MapCreate {
        map_type: MAP_TYPE_XSKMAP,
        key_size: 4,
        value_size: 4,
        max_entries: queues,
        map_flags: 0,
        inner_map_fd: 0,
        numa_node: 0,
        map_name: *b"simoom_sockets\0\0",
    };
    // SAFETY: the structure has no addresses in it.
    unsafe { bpf_fd(CMD_MAP_CREATE, &mut attr) }
}

/// Puts a socket into the map.
///
/// # Errors
/// What the kernel says.
pub(super) fn set_socket(
    map: BorrowedFd<'_>,
    queue: u32,
    socket: BorrowedFd<'_>,
) -> io::Result<()> {
    let value = socket.as_raw_fd();
    let mut attr = MapElem {
        map_fd: map.as_raw_fd(),
        key: (&raw const queue).addr() as u64,
        value: (&raw const value).addr() as u64,
        flags: 0,
    };
    // SAFETY: key and value are four bytes each, as the map was made, and live until it returns.
    unsafe { bpf(CMD_MAP_UPDATE, &mut attr) }.map(|_| ())
}

/// Attaches a program to an interface, for as long as the link is open.
///
/// # Errors
/// What the kernel says.
pub(super) fn attach(program: BorrowedFd<'_>, ifindex: u32, mode: Mode) -> io::Result<OwnedFd> {
    let mut attr = LinkCreate {
        prog_fd: program.as_raw_fd(),
        target_ifindex: ifindex,
        attach_type: ATTACH_XDP,
        flags: match mode {
            Mode::Generic => 1 << 1,
            Mode::Native => 1 << 2,
        },
    };
    // SAFETY: the structure has no addresses in it.
    unsafe { bpf_fd(CMD_LINK_CREATE, &mut attr) }
}

/// Has a link run another program from now on: no frame sees neither.
///
/// # Errors
/// What the kernel says.
pub(super) fn replace(link: BorrowedFd<'_>, program: BorrowedFd<'_>) -> io::Result<()> {
    let mut attr = LinkUpdate {
        link_fd: link.as_raw_fd(),
        new_prog_fd: program.as_raw_fd(),
        flags: 0,
        old_prog_fd: 0,
    };
    // SAFETY: the structure has no addresses in it.
    unsafe { bpf(CMD_LINK_UPDATE, &mut attr) }.map(|_| ())
}

/// The name of a program that someone has loaded; `None` when that cannot be known.
pub(super) fn name_of(program_id: u32) -> Option<String> {
    let mut attr = ById {
        id: program_id,
        next_id: 0,
        open_flags: 0,
    };
    // SAFETY: the structure has no addresses in it.
    let program = unsafe { bpf_fd(CMD_PROG_FD_BY_ID, &mut attr) }.ok()?;
    let mut info = [0_u8; INFO_LEN];
    let mut attr = InfoByFd {
        fd: program.as_raw_fd(),
        info_len: INFO_LEN as u32,
        info: info.as_mut_ptr().expose_provenance() as u64,
    };
    // SAFETY: `info` is as long as the structure says, and lives until the call returns.
    unsafe { bpf(CMD_INFO_BY_FD, &mut attr) }.ok()?;
    let name = info.get(INFO_NAME_AT..INFO_NAME_AT + 16)?;
    let name = CStr::from_bytes_until_nul(name).ok()?;
    let name = name.to_str().ok().filter(|name| !name.is_empty());
    name.map(ToString::to_string)
}

/// What a program answers to a frame, which is not sent anywhere (`BPF_PROG_TEST_RUN`).
///
/// # Errors
/// What the kernel says.
#[cfg(test)]
pub(super) fn run(program: BorrowedFd<'_>, frame: &[u8]) -> io::Result<u32> {
    let mut attr = TestRun {
        prog_fd: program.as_raw_fd(),
        retval: 0,
        data_size_in: u32::try_from(frame.len()).expect("a frame"),
        data_size_out: 0,
        data_in: frame.as_ptr().addr() as u64,
        data_out: 0,
        repeat: 1,
        rest: [0; 11],
    };
    // SAFETY: the frame is as long as the structure says, and is only read.
    unsafe { bpf(CMD_TEST_RUN, &mut attr) }.map(|_| attr.retval)
}

/// The call.
///
/// # Safety
/// `T` is what the kernel expects for `cmd`, and the addresses in it are valid for what the kernel
/// does with them.
unsafe fn bpf<T>(cmd: libc::c_long, attr: &mut T) -> io::Result<i32> {
    let len = size_of::<T>();
    // SAFETY: the caller's promise; `attr` is `len` bytes.
    let done = unsafe { libc::syscall(libc::SYS_bpf, cmd, &raw mut *attr, len) };
    match i32::try_from(done) {
        Ok(done) if done >= 0 => Ok(done),
        _ => Err(io::Error::last_os_error()),
    }
}

/// A call that opens something.
///
/// # Safety
/// As [`bpf`]; and `cmd` returns a descriptor.
unsafe fn bpf_fd<T>(cmd: libc::c_long, attr: &mut T) -> io::Result<OwnedFd> {
    // SAFETY: the caller's promise.
    let fd = unsafe { bpf(cmd, attr) }?;
    // SAFETY: the kernel has just opened it for us (with close-on-exec, as all of bpf's).
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// The last line of a log that says something; the one behind it counts instructions.
fn last_line(log: &[u8]) -> Option<String> {
    let text = CStr::from_bytes_until_nul(log).ok()?.to_str().ok()?;
    let said = text
        .lines()
        .rev()
        .find(|line| !line.starts_with("processed "));
    said.map(ToString::to_string)
}

// `union bpf_attr`, by command.

#[repr(C)]
struct ProgLoad {
    prog_type: u32,
    insn_cnt: u32,
    insns: u64,
    license: u64,
    log_level: u32,
    log_size: u32,
    log_buf: u64,
    kern_version: u32,
    prog_flags: u32,
    prog_name: [u8; 16],
    prog_ifindex: u32,
    expected_attach_type: u32,
}

#[repr(C)]
struct MapCreate {
    map_type: u32,
    key_size: u32,
    value_size: u32,
    max_entries: u32,
    map_flags: u32,
    inner_map_fd: u32,
    numa_node: u32,
    map_name: [u8; 16],
}

#[repr(C, align(8))]
struct MapElem {
    map_fd: i32,
    key: u64,
    value: u64,
    flags: u64,
}

#[repr(C)]
struct LinkCreate {
    prog_fd: i32,
    target_ifindex: u32,
    attach_type: u32,
    flags: u32,
}

#[repr(C)]
struct LinkUpdate {
    link_fd: i32,
    new_prog_fd: i32,
    flags: u32,
    old_prog_fd: u32,
}

#[repr(C)]
struct ById {
    id: u32,
    next_id: u32,
    open_flags: u32,
}

#[repr(C)]
struct InfoByFd {
    fd: i32,
    info_len: u32,
    info: u64,
}

#[cfg(test)]
#[repr(C)]
struct TestRun {
    prog_fd: i32,
    retval: u32,
    data_size_in: u32,
    data_size_out: u32,
    data_in: u64,
    data_out: u64,
    repeat: u32,
    rest: [u32; 11],
}

const CMD_MAP_CREATE: libc::c_long = 0;
const CMD_MAP_UPDATE: libc::c_long = 2;
const CMD_PROG_LOAD: libc::c_long = 5;
#[cfg(test)]
const CMD_TEST_RUN: libc::c_long = 10;
const CMD_PROG_FD_BY_ID: libc::c_long = 13;
const CMD_INFO_BY_FD: libc::c_long = 15;
const CMD_LINK_CREATE: libc::c_long = 28;
const CMD_LINK_UPDATE: libc::c_long = 29;

const PROG_TYPE_XDP: u32 = 6;
const ATTACH_XDP: u32 = 37;
const MAP_TYPE_XSKMAP: u32 = 17;
/// `BPF_F_XDP_HAS_FRAGS`.
const PROG_HAS_FRAGS: u32 = 1 << 5;
/// No function is called that asks for another.
const LICENSE: &CStr = c"MIT OR Apache-2.0";
/// Bytes for the verifier's words.
const LOG_LEN: usize = 64 << 10;
/// Bytes of `struct bpf_prog_info` up to and with its name.
const INFO_LEN: usize = 80;
const INFO_NAME_AT: usize = 64;

const _: () = {
    use core::mem::offset_of;
    assert!(offset_of!(ProgLoad, prog_name) == 48 && size_of::<ProgLoad>() == 72);
    assert!(offset_of!(MapElem, key) == 8 && size_of::<MapElem>() == 32);
    assert!(size_of::<Insn>() == 8);
};
