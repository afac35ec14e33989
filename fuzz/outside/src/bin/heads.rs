//! What programs in a cage ask the broker for: heads of requests, outside and inside of TLS.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| aecl_egress::broker::laws::head(bytes));
