//! The fuzz targets, one line each: what a target does stands beside the parser that it is about. The environment
//! chooses one by name; libFuzzer owns `main` and the command line. Started by `cargo xtask fuzz`.
#![no_main]

use std::process;
use std::sync::OnceLock;

use libfuzzer_sys::fuzz_target;

/// Takes any bytes; panics when something does not hold.
type Target = fn(&[u8]);

const TARGETS: &[(&str, Target)] = &[
    ("answer-head", cmg_core::http1::fuzzing::fuzz_answer_head),
    ("body", cmg_core::http1::fuzzing::fuzz_body),
    ("frames", cmg_core::tunnel::frame::fuzz_frames),
    ("gateway-configuration", cmg_gateway::settings::fuzzing::fuzz_gateway_settings),
    ("headers", cmg_core::headers::fuzzing::fuzz_headers),
    ("hellos", cmg_core::tunnel::handshake::fuzz_hellos),
    ("publication", cmg_core::tunnel::publication::fuzz_publication),
    ("request-head", cmg_core::http1::fuzzing::fuzz_request_head),
    ("request-target", cmg_core::request_target::fuzzing::fuzz_request_target),
    ("site-configuration", cmg_core::site::fuzz_site_configuration),
    ("stored-configuration", cmg_core::tunnel::stored::fuzz_stored),
];

/// Names the target; `list` prints all names.
const VARIABLE: &str = "CMG_FUZZ_TARGET";

static CHOSEN: OnceLock<Target> = OnceLock::new();

fn choose() -> Target {
    let wanted = std::env::var(VARIABLE).unwrap_or_default();
    if let Some((_, target)) = TARGETS.iter().find(|(name, _)| *name == wanted) {
        return *target;
    }
    for (name, _) in TARGETS {
        println!("{name}");
    }
    if wanted != "list" {
        eprintln!("{VARIABLE} must be one of these names");
        process::exit(2);
    }
    process::exit(0);
}

fuzz_target!(init: { CHOSEN.get_or_init(choose); }, |data: &[u8]| CHOSEN.get_or_init(choose)(data));
