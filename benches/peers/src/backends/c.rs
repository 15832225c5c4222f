//! zlib and zlib-ng, which are C. Their interfaces are the same but for the crate. They get their memory from us, so that it
//! is counted.

use super::Backend;

pub(super) const BACKENDS: &[fn() -> Backend] = &[
    #[cfg(feature = "zlib")]
    zlib::backend,
    #[cfg(feature = "zlib-ng")]
    zlib_ng::backend,
];

#[cfg(any(feature = "zlib", feature = "zlib-ng"))]
macro_rules! backend {
    ($module:ident, $library:ident, $name:literal) => {
        mod $module {
            use std::mem::MaybeUninit;

            use $library as sys;

            use super::super::{Backend, Compressor, Decompressor, Shape};
            use super::memory;

            pub(in super::super) fn backend() -> Backend {
                Backend {
                    name: $name,
                    compressor: |shape| Some(Box::new(Deflate::new(shape))),
                    decompressor: |shape| Some(Box::new(Inflate::new(shape))),
                    window_bits: "yes",
                    memory_level: "yes",
                    reset: "yes",
                    bounded_output: "yes",
                    dictionary: "yes",
                }
            }

            /// A stream that gets its memory from us and has nothing to do yet.
            fn stream() -> Box<sys::z_stream> {
                let mut stream = Box::new(MaybeUninit::<sys::z_stream>::zeroed());
                let fields = stream.as_mut_ptr();
                // SAFETY: the fields are written where they are. The functions must not be null, and everything else may
                // be zero: pointers and numbers.
                unsafe {
                    (&raw mut (*fields).zalloc).cast::<sys::alloc_func>().write(memory::take);
                    (&raw mut (*fields).zfree).cast::<sys::free_func>().write(memory::give);
                    stream.assume_init()
                }
            }

            struct Deflate(Box<sys::z_stream>);

            impl Deflate {
                fn new(shape: Shape) -> Self {
                    let mut stream = stream();
                    let size = i32::try_from(size_of::<sys::z_stream>()).expect("it is small");
                    // SAFETY: the stream is as it has to be, and stays where it is.
                    let result = unsafe {
                        sys::deflateInit2_(
                            &mut *stream,
                            shape.level.into(),
                            sys::Z_DEFLATED,
                            -i32::from(shape.window_bits),
                            shape.memory_level.into(),
                            sys::Z_DEFAULT_STRATEGY,
                            sys::zlibVersion(),
                            size,
                        )
                    };
                    assert_eq!(result, sys::Z_OK);
                    Self(stream)
                }
            }

            impl Compressor for Deflate {
                fn compress(&mut self, message: &[u8], output: &mut [u8]) -> usize {
                    self.0.next_in = message.as_ptr().cast_mut();
                    self.0.avail_in = message.len() as _;
                    self.0.next_out = output.as_mut_ptr();
                    self.0.avail_out = output.len() as _;
                    // SAFETY: the pointers are those of the slices, with their lengths; the input is only read.
                    let result = unsafe { sys::deflate(&mut *self.0, sys::Z_SYNC_FLUSH) };
                    assert_eq!(result, sys::Z_OK);
                    output.len() - self.0.avail_out as usize
                }

                fn reset(&mut self) {
                    // SAFETY: the stream is a compressor's.
                    unsafe { sys::deflateReset(&mut *self.0) };
                }
            }

            impl Drop for Deflate {
                fn drop(&mut self) {
                    // SAFETY: the stream is a compressor's, and is not used again.
                    unsafe { sys::deflateEnd(&mut *self.0) };
                }
            }

            struct Inflate(Box<sys::z_stream>);

            impl Inflate {
                fn new(shape: Shape) -> Self {
                    let mut stream = stream();
                    let size = i32::try_from(size_of::<sys::z_stream>()).expect("it is small");
                    // SAFETY: the stream is as it has to be, and stays where it is.
                    let result = unsafe {
                        sys::inflateInit2_(&mut *stream, -i32::from(shape.window_bits), sys::zlibVersion(), size)
                    };
                    assert_eq!(result, sys::Z_OK);
                    Self(stream)
                }
            }

            impl Decompressor for Inflate {
                fn decompress(&mut self, payload: &[u8], output: &mut [u8]) -> usize {
                    self.0.next_in = payload.as_ptr().cast_mut();
                    self.0.avail_in = payload.len() as _;
                    self.0.next_out = output.as_mut_ptr();
                    self.0.avail_out = output.len() as _;
                    // SAFETY: the pointers are those of the slices, with their lengths; the input is only read.
                    let result = unsafe { sys::inflate(&mut *self.0, sys::Z_SYNC_FLUSH) };
                    assert_eq!(result, sys::Z_OK);
                    output.len() - self.0.avail_out as usize
                }

                fn reset(&mut self) {
                    // SAFETY: the stream is a decompressor's.
                    unsafe { sys::inflateReset(&mut *self.0) };
                }
            }

            impl Drop for Inflate {
                fn drop(&mut self) {
                    // SAFETY: the stream is a decompressor's, and is not used again.
                    unsafe { sys::inflateEnd(&mut *self.0) };
                }
            }
        }
    };
}

#[cfg(feature = "zlib")]
backend!(zlib, libz_sys, "zlib");
#[cfg(feature = "zlib-ng")]
backend!(zlib_ng, libz_ng_sys, "zlib-ng");

#[cfg(any(feature = "zlib", feature = "zlib-ng"))]
mod memory {
    use std::alloc::{Layout, alloc, dealloc};
    use std::ffi::{c_uint, c_void};
    use std::ptr::null_mut;

    /// What is in front of a block: its size, and room to keep it aligned for whatever C does with it.
    const HEAD: usize = 64;

    fn layout(size: usize) -> Option<Layout> {
        Layout::from_size_align(size.checked_add(HEAD)?, HEAD).ok()
    }

    pub(super) unsafe extern "C" fn take(_: *mut c_void, count: c_uint, each: c_uint) -> *mut c_void {
        let size = count as usize * each as usize;
        let Some(layout) = layout(size) else { return null_mut() };
        // SAFETY: the layout is never empty. There is room for the size in front of what is given out.
        unsafe {
            let block = alloc(layout);
            if block.is_null() {
                return null_mut();
            }
            block.cast::<usize>().write(size);
            block.add(HEAD).cast()
        }
    }

    pub(super) unsafe extern "C" fn give(_: *mut c_void, block: *mut c_void) {
        // SAFETY: the block is from `take`, so its head is in front of it and says how large it is.
        unsafe {
            let block = block.cast::<u8>().sub(HEAD);
            let size = block.cast::<usize>().read();
            dealloc(block, layout(size).expect("it was one"));
        }
    }
}
