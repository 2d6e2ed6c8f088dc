//! Drops records of level debug, and adds the language and the tag to all others.
//! Build: `rustup target add wasm32-wasip1`, then see the Makefile.

use std::cell::RefCell;
use std::ffi::{c_char, CString};
use std::ptr::null;
use std::slice;

thread_local! {
    /// What was returned last: it is read before the next call, so it is freed there.
    static RESULT: RefCell<CString> = RefCell::default();
}

/// # Safety
/// The host gives pointers to texts of the lengths that stand behind them.
#[no_mangle]
pub unsafe extern "C" fn filter(
    tag: *const u8,
    tag_len: u32,
    _seconds: u32,
    _nanoseconds: u32,
    record: *const u8,
    record_len: u32,
) -> *const c_char {
    let tag = String::from_utf8_lossy(slice::from_raw_parts(tag, tag_len as usize));
    let record = String::from_utf8_lossy(slice::from_raw_parts(record, record_len as usize));
    if record.contains(r#""level":"debug""#) {
        return null();
    }
    let body = &record[..record.len() - 1];
    let comma = if record.len() > 2 { "," } else { "" };
    let text = format!(r#"{body}{comma}"lang":"Rust","tag":"{tag}"}}"#);
    RESULT.with_borrow_mut(|result| {
        *result = CString::new(text).unwrap_or_default();
        result.as_ptr()
    })
}
