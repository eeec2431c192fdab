//! The macro that makes a bootable image of a crate.

/// Makes the crate a bootable image whose `main` is the given
/// `fn(`[`Machine`](crate::x86_64::Machine)`) -> `[`ExitCode`](crate::x86_64::ExitCode).
///
/// It defines what only one crate of a program may: the entry stub, `memcpy` and its like, the
/// panic routine and, with feature `defmt`, the logger. Nothing of that reaches a program that
/// does not use the macro. The crate's build script sets `SIMOOM_ASM` and the link arguments, see
/// the [crate's page](crate).
#[macro_export]
macro_rules! image {
    ($main:path) => {
        ::core::arch::global_asm!(::core::include_str!(::core::concat!(
            ::core::env!("SIMOOM_ASM"),
            "/entry.s"
        )));
        ::core::arch::global_asm!(::core::include_str!(::core::concat!(
            ::core::env!("SIMOOM_ASM"),
            "/vectors.s"
        )));
        ::core::arch::global_asm!(::core::include_str!(::core::concat!(
            ::core::env!("SIMOOM_ASM"),
            "/memory.s"
        )));

        /// What the entry stub calls, once.
        #[allow(unsafe_code)]
        #[unsafe(no_mangle)]
        extern "C" fn simoom_image_entry(record: &'static $crate::x86_64::BootRecord) -> ! {
            $crate::x86_64::enter(record, $main)
        }

        #[panic_handler]
        fn panicked(info: &::core::panic::PanicInfo<'_>) -> ! {
            $crate::x86_64::panicked(info)
        }

        $crate::__image_logger!();
    };
}

/// The part of [`image!`](crate::image) that depends on feature `defmt`: here, nothing.
#[cfg(not(feature = "defmt"))]
#[doc(hidden)]
#[macro_export]
macro_rules! __image_logger {
    () => {};
}

/// The part of [`image!`](crate::image) that depends on feature `defmt`: the logger. Defined in
/// the image, since its symbols would break the link of host programs.
#[cfg(feature = "defmt")]
#[doc(hidden)]
#[macro_export]
macro_rules! __image_logger {
    () => {
        #[allow(unsafe_code)]
        const _: () = {
            use $crate::defmt;

            // Where the messages of each level start, in the order of severity: defmt.x.
            unsafe extern "C" {
                safe static __DEFMT_MARKER_TRACE_START: u8;
                safe static __DEFMT_MARKER_DEBUG_START: u8;
                safe static __DEFMT_MARKER_INFO_START: u8;
                safe static __DEFMT_MARKER_WARN_START: u8;
                safe static __DEFMT_MARKER_ERROR_START: u8;
                safe static __DEFMT_MARKER_ERROR_END: u8;
            }

            #[defmt::global_logger]
            struct Logger;

            // SAFETY: `acquire` and `release` are paired by defmt; the machine has one thread.
            unsafe impl defmt::Logger for Logger {
                fn acquire() {
                    $crate::x86_64::logger::acquire([
                        &raw const __DEFMT_MARKER_TRACE_START as usize,
                        &raw const __DEFMT_MARKER_DEBUG_START as usize,
                        &raw const __DEFMT_MARKER_INFO_START as usize,
                        &raw const __DEFMT_MARKER_WARN_START as usize,
                        &raw const __DEFMT_MARKER_ERROR_START as usize,
                        &raw const __DEFMT_MARKER_ERROR_END as usize,
                    ]);
                }
                unsafe fn flush() {
                    $crate::x86_64::logger::flush();
                }
                unsafe fn release() {
                    $crate::x86_64::logger::release();
                }
                unsafe fn write(bytes: &[u8]) {
                    $crate::x86_64::logger::write(bytes);
                }
            }

            defmt::timestamp!("{=u64:us}", $crate::x86_64::clock::now_us());
        };
    };
}
