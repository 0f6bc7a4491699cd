//! Libraries that merge three texts.
use crate::{Case, measure};
use std::ffi::{c_char, c_uint};

type Run = fn(&Case) -> (f64, String);

/// Name and measurement of each.
pub const PEERS: &[(&str, Run)] = &[("libgit2", libgit2), ("similar", similar), ("diffy", diffy)];

fn input(text: &str) -> libgit2_sys::git_merge_file_input {
    libgit2_sys::git_merge_file_input { version: 1, ptr: text.as_ptr().cast::<c_char>(), size: text.len(), path: std::ptr::null(), mode: 0 }
}

fn libgit2(case: &Case) -> (f64, String) {
    libgit2_sys::init();
    measure(
        || (),
        |()| {
            let [base, ours, theirs] = [&case.base, &case.ours, &case.theirs].map(|text| input(text));
            // SAFETY: the inputs point to texts that outlive the call; the result is copied before it is freed.
            unsafe {
                let mut result: libgit2_sys::git_merge_file_result = std::mem::zeroed();
                let code = libgit2_sys::git_merge_file(&mut result, &base, &ours, &theirs, std::ptr::null());
                assert_eq!((code, result.automergeable), (0, 1 as c_uint), "a merge without conflicts");
                let merged = std::slice::from_raw_parts(result.ptr.cast::<u8>(), result.len).to_vec();
                libgit2_sys::git_merge_file_result_free(&mut result);
                String::from_utf8(merged).expect("texts are ASCII")
            }
        },
    )
}

fn similar(case: &Case) -> (f64, String) {
    measure(|| (), |()| similar::TextMerge::from_lines(&case.base, &case.ours, &case.theirs).to_string())
}

fn diffy(case: &Case) -> (f64, String) {
    measure(|| (), |()| diffy::merge(&case.base, &case.ours, &case.theirs).unwrap_or_else(|conflicting| conflicting))
}
