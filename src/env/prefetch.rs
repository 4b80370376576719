//! Hints to the processor about memory that will be read or written soon.
#![allow(unsafe_code)]

/// Prefetches a cache line. It is only a hint: the program computes the same without it. Any address may be given.
#[inline]
pub fn prefetch<T>(address: *const T) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: prefetching is allowed for any address, mapped or not.
    unsafe {
        std::arch::x86_64::_mm_prefetch(address.cast(), std::arch::x86_64::_MM_HINT_T0);
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = address;
}

/// Prefetches a cache line that will be written, so that no other processor shares it when it arrives. A hint like
/// [`prefetch`]; a processor without such an instruction does nothing.
#[inline]
pub fn prefetch_to_write<T>(address: *const T) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: prefetching is allowed for any address, mapped or not, and changes nothing that a program can see.
    unsafe {
        std::arch::asm!("prefetchw [{}]", in(reg) address, options(nostack, preserves_flags, readonly));
    }
    #[cfg(not(target_arch = "x86_64"))]
    prefetch(address);
}

#[cfg(test)]
mod tests {
    use super::{prefetch, prefetch_to_write};

    #[test]
    fn hints_may_name_any_address() {
        for address in [0, 1, 4096, usize::MAX] {
            prefetch(std::ptr::without_provenance::<u8>(address));
            prefetch_to_write(std::ptr::without_provenance::<u8>(address));
        }
    }
}
