//! Regions, pools and tables that last until the program ends.

use std::boxed::Box;
use std::vec;
use std::vec::Vec;

use core::ptr::NonNull;

use simoom_ring::{FrameMeta, FramePool};

use crate::{Interface, Memory, Region, RxShadow, TxShadow};

/// Memory as a mapping has it: aligned, and there until the end.
#[derive(Clone)]
#[repr(C, align(4096))]
pub(super) struct Page([u8; 4096]);

/// Zeroed memory of `len` bytes at least.
pub(super) fn pages(len: usize) -> Vec<Page> {
    vec![Page([0; 4096]); len.div_ceil(4096)]
}

/// A zeroed region of `len` bytes at least.
pub(crate) fn region(len: usize) -> Region {
    let pages = pages(len).leak();
    let len = pages.len() * 4096;
    // SAFETY: leaked memory that nothing else refers to.
    unsafe { Region::new(NonNull::from(pages).cast(), len) }.expect("pages are aligned")
}

/// A pool over all buffers of a region.
pub(crate) fn pool(interface: &Interface) -> &'static FramePool<'static> {
    let metas: Vec<_> = (0..interface.bufs_cnt())
        .map(|_| FrameMeta::new())
        .collect();
    // SAFETY: each test's pools adopt what is in the slots and the list of one port.
    Box::leak(Box::new(unsafe { interface.pool(metas.leak()) }))
}

pub(crate) fn memory(slots: usize) -> Memory<'static> {
    Memory {
        rx: vec![RxShadow::default(); slots].leak(),
        tx: vec![TxShadow::default(); slots].leak(),
    }
}
