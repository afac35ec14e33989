//! A TLS hello: what is let through is for the name that another reader finds in it, or is none to that one.

#![no_main]

use aecl_egress::broker::laws;
use libfuzzer_sys::fuzz_target;
use rustls::server::Acceptor;

fuzz_target!(|bytes: &[u8]| {
    let Some(name) = laws::hello(bytes) else { return };
    let mut acceptor = Acceptor::default();
    let mut rest = bytes;
    while !rest.is_empty() {
        if acceptor.read_tls(&mut rest).is_err() {
            return;
        }
        if let Ok(Some(accepted)) = acceptor.accept() {
            let theirs = accepted.client_hello().server_name().map(str::to_ascii_lowercase);
            // A name that is none to the other one ends nowhere: the broker compares it with the one it has judged.
            assert!(theirs.is_none_or(|theirs| theirs == name.to_ascii_lowercase()), "two names: `{name}`");
            return;
        }
    }
});
